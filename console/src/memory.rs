//! What a program does when the system gives it no more memory.
//!
//! Rust ends such a program by a signal, without a place or a hint. Work that runs overnight under `ulimit -v` needs a
//! status and a message instead, like those of a full disk. Nothing has to be put in order first: every file under a
//! final name is whole at any moment.
#![expect(unsafe_code, reason = "an allocator's interface is unsafe by definition")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Cursor, Write};

use crate::FailureKind;

/// The system's allocator. Where it has no memory, the program ends with a message and status 1.
///
/// A program names it as its own:
///
/// ```
/// #[global_allocator]
/// static MEMORY: ratdata_console::BoundedMemory = ratdata_console::BoundedMemory;
/// ```
#[derive(Debug)]
pub struct BoundedMemory;

// SAFETY: each call goes to the system's allocator with the caller's arguments, and its pointer comes back unchanged.
unsafe impl GlobalAlloc for BoundedMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps what `alloc` asks for.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps what `alloc_zeroed` asks for.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps what `realloc` asks for.
        given(unsafe { System.realloc(at, layout, size) }, size)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps what `dealloc` asks for.
        unsafe { System.dealloc(at, layout) }
    }
}

#[inline]
fn given(at: *mut u8, size: usize) -> *mut u8 {
    if at.is_null() { end(size) } else { at }
}

/// Ends the program. No destructor runs, since one could ask for memory.
#[cold]
fn end(size: usize) -> ! {
    let mut message = [0; 320];
    let told = tell(&mut message, size);
    // Where stderr is closed, too, the status alone tells.
    rustix::io::write(io::stderr(), told).ok();
    // SAFETY: `_exit` may be called at any moment, from any thread.
    unsafe { libc::_exit(FailureKind::Failed.status().into()) }
}

/// Writes the message without an allocation, and returns what fits.
fn tell(room: &mut [u8], size: usize) -> &[u8] {
    let mut message = Cursor::new(&mut *room);
    writeln!(
        message,
        "\nerror: memory ran out: the system refused {size} more bytes\n\
         hint: `ulimit -v` shows a limit on memory; raise it, or use fewer threads, and run the same command again"
    )
    .ok();
    let written = usize::try_from(message.position()).unwrap_or(usize::MAX).min(room.len());
    &room[..written]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_as_the_system_gives_it() {
        let layout = Layout::from_size_align(24, 8).unwrap();

        // SAFETY: the layout has a size, and each pointer is used within its own size and freed once.
        unsafe {
            let zeros = BoundedMemory.alloc_zeroed(layout);
            assert_eq!(std::slice::from_raw_parts(zeros, 24), [0; 24]);
            std::ptr::write_bytes(zeros, 7, 24);
            let more = BoundedMemory.realloc(zeros, layout, 4096);
            assert_eq!(std::slice::from_raw_parts(more, 24), [7; 24]);
            BoundedMemory.dealloc(more, Layout::from_size_align(4096, 8).unwrap());
        }
    }

    #[test]
    fn the_message_has_the_size_and_a_hint_and_fits_its_room() {
        let mut room = [0; 320];
        let told = tell(&mut room, usize::MAX);

        assert!(told.len() < 320);
        let told = str::from_utf8(told).unwrap();
        assert!(told.contains(&usize::MAX.to_string()) && told.contains("`ulimit -v`"), "{told}");
        assert_eq!(tell(&mut [0; 8], 1), b"\nerror: ");
    }
}
