//! Room for what several threads hold at once: ids in memory, or bytes that wait for a store.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many ids are held by the files that are being finished, at most; one file may have more.
const MOST_IDS: usize = 4 << 20;

/// How many bytes of shards wait on disk for a store, at most; one file may have more.
const MOST_UNDELIVERED: usize = 256 << 20;

/// Room for the files of a job that are being finished.
#[derive(Debug)]
pub(super) struct Rooms {
    /// For ids in memory.
    pub(super) ids: Room,
    /// For bytes of shards that wait for a store.
    pub(super) undelivered: Room,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { ids: Room::new(MOST_IDS), undelivered: Room::new(MOST_UNDELIVERED) }
    }
}

/// Room for an amount; who wants more than is free waits.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    held: Mutex<usize>,
    freed: Condvar,
}

/// A part of a room, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    room: &'a Room,
    amount: usize,
}

impl Room {
    /// Makes room for `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: Mutex::new(0), freed: Condvar::new() }
    }

    /// Takes a part, once there is room for it. More than the whole room is given where nobody else has any.
    pub(super) fn take(&self, amount: usize) -> Held<'_> {
        let mut held = self.lock();
        while *held > 0 && held.saturating_add(amount) > self.most {
            held = self.freed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held += amount;
        Held { room: self, amount }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.room.lock() -= self.amount;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_is_held_than_there_is_room_for() {
        let room = Room::new(10);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (room, now, most) = (&room, &now, &most);
                scope.spawn(move || {
                    for round in 0..100 {
                        let amount = 1 + (thread + round) % 6;
                        let held = room.take(amount);
                        let sum = now.fetch_add(amount, Ordering::SeqCst) + amount;
                        most.fetch_max(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(amount, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });

        assert!((7..=10).contains(&most.into_inner()), "several hold a part at once, and no more");
        assert_eq!(*room.lock(), 0);
    }

    #[test]
    fn more_than_the_room_is_given_to_one_at_a_time() {
        let room = Room::new(10);

        let all = room.take(25);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| drop(room.take(1)));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!next.is_finished());
            drop(all);
            next.join().unwrap();
        });
    }
}
