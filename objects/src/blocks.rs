//! Reads an object in blocks, which are fetched ahead of where the reading is.
//!
//! Each reader of the object, on whichever thread, asks for the bytes that it needs. A block that is asked for is
//! fetched, and so are those that will be asked for after it: the next ones of the object, or of those parts of it
//! that are [`Blocks::expect`]ed. So the store is always busy with several requests, and what a table has in other
//! columns is not fetched. Who jumps through an object, as an estimate does, has little fetched that nobody reads.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::error::ObjectError;
use crate::object::Object;
use crate::runtime::Pending;

/// How many bytes a block has: enough that a store's work for a request is small next to sending it. Tests have
/// smaller ones.
const BLOCK: u64 = if cfg!(test) { 1 << 20 } else { 8 << 20 };

/// How many blocks are fetched ahead of a reader that continues where one has read, and of one that has jumped.
const AHEAD: (usize, usize) = (8, 1);

/// How many blocks are remembered as read.
const REMEMBERED: usize = 64;

/// How many blocks that nobody has read yet are held or fetched at once.
const MOST_UNREAD: usize = 16;

/// How many blocks that were read are held: two readers meet in a block where their parts do.
const MOST_READ: usize = 4;

/// After how many other blocks one that was fetched ahead and not read is given up: its readers have jumped over it.
const OVERTAKEN: u64 = 64;

/// An object that is read by places.
#[derive(Debug)]
pub struct Blocks {
    object: Object,
    state: Mutex<Held>,
}

/// The blocks that are held or on their way, by their number.
#[derive(Debug, Default)]
struct Held {
    blocks: BTreeMap<u64, Block>,
    /// The parts that will be read, in order; all of the object where none were named.
    expected: Vec<Range<u64>>,
    /// The blocks that were read last.
    recent: VecDeque<u64>,
    /// Counts the reads.
    clock: u64,
    /// Counts the blocks that were come to.
    arrivals: u64,
}

#[derive(Debug)]
struct Block {
    content: Arc<Mutex<Content>>,
    /// When it was last read; none where nobody has.
    read: Option<u64>,
    /// How many blocks had been come to when it was asked for.
    asked: u64,
}

#[derive(Debug)]
enum Content {
    Coming(Option<Pending<Bytes>>),
    Here(Bytes),
    Failed(ObjectError),
}

impl Blocks {
    /// Gets ready to read an object; nothing is fetched yet.
    pub fn of(object: Object) -> Self {
        Self { object, state: Mutex::default() }
    }

    /// Returns the object.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Returns how many bytes the object has.
    pub fn len(&self) -> u64 {
        self.object.state().bytes
    }

    /// Returns whether the object has no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says which parts will be read, in which order; only these are fetched ahead.
    pub fn expect(&self, parts: Vec<Range<u64>>) {
        self.lock().expected = parts;
    }

    /// Begins to fetch the block of a place, for a reader that comes later; there is none beyond the end.
    ///
    /// # Errors
    ///
    /// No connection can be made.
    pub fn begin_at(&self, place: u64) -> Result<(), ObjectError> {
        let mut held = self.lock();
        if place >= self.len() || held.blocks.contains_key(&(place / BLOCK)) {
            return Ok(());
        }
        self.fetch(&mut held, place / BLOCK)
    }

    /// Begins to fetch the blocks that are read first, as many as a reader that continues has fetched ahead.
    ///
    /// # Errors
    ///
    /// No connection can be made.
    pub fn begin_reading(&self) -> Result<(), ObjectError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut held = self.lock();
        let first = held.expected.first().map_or(0, |part| part.start / BLOCK);
        if !held.blocks.contains_key(&first) {
            self.fetch(&mut held, first)?;
        }
        self.fetch_ahead(&mut held, first, AHEAD.0)
    }

    /// Reads bytes at a place, as many as there are up to `length`.
    ///
    /// # Errors
    ///
    /// The store fails, the object was replaced, or the user stopped the program.
    pub fn read_at(&self, place: u64, length: usize) -> Result<Bytes, ObjectError> {
        let end = place.saturating_add(length as u64).min(self.len());
        if place >= end {
            return Ok(Bytes::new());
        }
        let first = self.block(place / BLOCK)?;
        let within = |at: u64, number: u64| usize::try_from(at - number * BLOCK).unwrap_or(0);
        let from = within(place, place / BLOCK);
        let last = (end - 1) / BLOCK;
        if last == place / BLOCK {
            return Ok(first.slice(from..within(end, last)));
        }
        let mut bytes = BytesMut::with_capacity(length);
        bytes.extend_from_slice(&first[from..]);
        for number in place / BLOCK + 1..last {
            bytes.extend_from_slice(&self.block(number)?);
        }
        bytes.extend_from_slice(&self.block(last)?[..within(end, last)]);
        Ok(bytes.freeze())
    }

    /// Returns a reader from a place to the end.
    pub fn reader(self: &Arc<Self>, place: u64) -> BlockReader {
        BlockReader { blocks: self.clone(), place }
    }

    /// Returns a block, and has those fetched that will be read next.
    fn block(&self, number: u64) -> Result<Bytes, ObjectError> {
        let content = {
            let mut held = self.lock();
            if !held.blocks.contains_key(&number) {
                self.fetch(&mut held, number)?;
            }
            held.clock += 1;
            let clock = held.clock;
            let block = held.blocks.get_mut(&number);
            let content = block.map(|block| {
                block.read = Some(clock);
                block.content.clone()
            });
            let ahead = held.go_to(number);
            self.fetch_ahead(&mut held, number, ahead)?;
            held.make_room();
            content
        };
        // It was put there above.
        let Some(content) = content else { return Ok(Bytes::new()) };
        let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
        if let Content::Coming(pending) = &mut *content {
            let came = pending.take().map_or(Err(ObjectError::Interrupted), Pending::wait);
            *content = came.map_or_else(Content::Failed, Content::Here);
        }
        match &*content {
            Content::Here(bytes) => Ok(bytes.clone()),
            Content::Failed(wrong) => Err(wrong.clone()),
            Content::Coming(_) => Err(ObjectError::Interrupted),
        }
    }

    fn fetch(&self, held: &mut Held, number: u64) -> Result<(), ObjectError> {
        let start = number * BLOCK;
        let pending = self.object.fetch(start..(start + BLOCK).min(self.len()))?;
        let content = Arc::new(Mutex::new(Content::Coming(Some(pending))));
        held.blocks.insert(number, Block { content, read: None, asked: held.arrivals });
        Ok(())
    }

    fn fetch_ahead(&self, held: &mut Held, number: u64, ahead: usize) -> Result<(), ObjectError> {
        let last = (self.len() - 1) / BLOCK;
        let mut next = number;
        for _ in 0..ahead {
            let Some(wanted) = held.after(next).filter(|&wanted| wanted <= last) else { break };
            next = wanted;
            if held.blocks.contains_key(&next) {
                continue;
            }
            if held.blocks.values().filter(|block| block.read.is_none()).count() >= MOST_UNREAD {
                break;
            }
            self.fetch(held, next)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes note of where a reader is, and returns how many blocks are fetched ahead of it.
    fn go_to(&mut self, number: u64) -> usize {
        if !self.recent.contains(&number) {
            self.arrivals += 1;
            self.recent.push_back(number);
            if self.recent.len() > REMEMBERED {
                self.recent.pop_front();
            }
        }
        if self.follows(number) { AHEAD.0 } else { AHEAD.1 }
    }

    /// Returns whether the block that is read before a block was read.
    fn follows(&self, number: u64) -> bool {
        self.recent.iter().any(|&before| before < number && self.after(before) == Some(number))
    }

    /// Returns the block that is read after a block.
    fn after(&self, number: u64) -> Option<u64> {
        let next = number + 1;
        if self.expected.is_empty() {
            return Some(next);
        }
        // The parts of a table are in order, and so are their ends.
        let part = self.expected.partition_point(|part| part.end <= next * BLOCK);
        self.expected.get(part).map(|part| next.max(part.start / BLOCK))
    }

    /// Gives up the blocks that were read longest ago, and those that nobody will read.
    fn make_room(&mut self) {
        let overtaken = self.arrivals.saturating_sub(OVERTAKEN);
        self.blocks.retain(|_, block| block.read.is_some() || block.asked >= overtaken);
        // A block that is ahead, such as the end of a table with its footer, is come to once more.
        let here = self.recent.back().copied().unwrap_or(0);
        let read = self
            .blocks
            .iter()
            .filter_map(|(&number, block)| Some((number > here, block.read?, number)));
        let mut read: Vec<(bool, u64, u64)> = read.collect();
        read.sort_unstable();
        let spare = read.len().saturating_sub(MOST_READ);
        for (_, _, number) in &read[..spare] {
            self.blocks.remove(number);
        }
    }
}

/// Reads an object from a place to its end.
#[derive(Debug)]
pub struct BlockReader {
    blocks: Arc<Blocks>,
    place: u64,
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not beyond a block, which would be copied twice.
        let rest = usize::try_from(BLOCK - self.place % BLOCK).unwrap_or(usize::MAX);
        let bytes = self.blocks.read_at(self.place, buffer.len().min(rest))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.place += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::object::put;

    /// An object of some blocks and a rest, in which each byte says where it is.
    fn blocks(name: &str) -> (Arc<Blocks>, Vec<u8>) {
        let place = Address::read(&format!("memory://blocks/{name}")).unwrap().unwrap();
        let content: Vec<u8> = (0..10_u32 << 20)
            .step_by(4)
            .flat_map(|at| (at ^ 0x5a5a).to_le_bytes())
            .chain(*b"end")
            .collect();
        put(&place, content.clone()).unwrap();
        (Arc::new(Blocks::of(Object::open(&place).unwrap())), content)
    }

    #[test]
    fn any_part_is_what_it_is_in_the_object() {
        let (blocks, content) = blocks("parts");
        let block = usize::try_from(BLOCK).unwrap();

        for (place, length) in [
            (0, 5),
            (block - 2, 4),
            (3, 3 * block),
            (block, block),
            (content.len() - 7, 100),
            (content.len(), 1),
            (7, 0),
        ] {
            let end = (place + length).min(content.len());
            let read = blocks.read_at(place as u64, length).unwrap();
            assert_eq!(read, content[place..end], "{place}+{length}");
        }
    }

    #[test]
    fn a_reader_gives_the_rest_and_holds_few_blocks() {
        let (blocks, content) = blocks("reader");
        let mut read = Vec::new();

        blocks.reader(5).read_to_end(&mut read).unwrap();

        assert!(read == content[5..]);
        assert!(blocks.lock().blocks.len() <= MOST_READ + AHEAD.0);
    }

    #[test]
    fn what_is_read_first_can_be_fetched_before() {
        let held = |blocks: &Blocks| -> Vec<u64> { blocks.lock().blocks.keys().copied().collect() };
        let [(all, _), (parts, _)] = ["begin-all", "begin-parts"].map(blocks);
        parts.expect(vec![2 * BLOCK..4 * BLOCK, 7 * BLOCK..7 * BLOCK + 1]);

        all.begin_reading().unwrap();
        parts.begin_reading().unwrap();

        assert_eq!(held(&all), (0..=8).collect::<Vec<_>>());
        assert_eq!(held(&parts), [2, 3, 7]);
    }

    #[test]
    fn only_expected_parts_are_fetched_ahead() {
        let (blocks, _) = blocks("expected");
        blocks.expect(vec![0..10, 6 * BLOCK + 1..6 * BLOCK + 2, 8 * BLOCK - 1..8 * BLOCK + 1]);

        let held = |blocks: &Blocks| -> Vec<u64> { blocks.lock().blocks.keys().copied().collect() };

        blocks.read_at(0, 1).unwrap();
        assert_eq!(held(&blocks), [0, 6]);
        blocks.read_at(6 * BLOCK, 1).unwrap();
        assert_eq!(held(&blocks), [0, 6, 7, 8]);
    }

    #[test]
    fn who_jumps_has_little_fetched_ahead() {
        let (blocks, _) = blocks("jumps");

        for number in [9, 6, 3] {
            blocks.read_at(number * BLOCK, 1).unwrap();
        }

        let held: Vec<u64> = blocks.lock().blocks.keys().copied().collect();
        assert_eq!(held, [3, 4, 6, 7, 9, 10]);
    }

    #[test]
    fn the_end_that_was_read_first_stays_until_it_is_come_to() {
        let (blocks, content) = blocks("footer");
        let last = content.len() as u64 - 1;

        blocks.begin_at(last).unwrap();
        blocks.begin_at(last + 1).unwrap();
        blocks.read_at(last, 1).unwrap();
        for number in 0..9 {
            blocks.read_at(number * BLOCK, 1).unwrap();
            let held = blocks.lock();
            let end = &held.blocks[&(last / BLOCK)];
            assert!(end.read == Some(1), "block {number}: the end is fetched again");
            let read = held.blocks.values().filter(|block| block.read.is_some()).count();
            assert!(read <= MOST_READ, "{read}");
        }
    }

    #[test]
    fn threads_share_what_was_fetched() {
        let (blocks, content) = blocks("threads");

        std::thread::scope(|scope| {
            for start in 0..4_u64 {
                let (blocks, content) = (&blocks, &content);
                scope.spawn(move || {
                    for place in (start * 100..content.len() as u64).step_by(3 << 20) {
                        let at = usize::try_from(place).unwrap();
                        let end = (at + 1000).min(content.len());
                        assert_eq!(blocks.read_at(place, 1000).unwrap(), content[at..end]);
                    }
                });
            }
        });
    }
}
