//! TensorBoard event files: scalars in the frames of `TFRecord`, with masked CRC-32C.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::TrainError;

/// The folder of event files in a run's folder.
pub(crate) const FOLDER: &str = "tensorboard";

/// An open event file.
#[derive(Debug)]
pub(crate) struct Events {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Events {
    /// Begins an event file. It replaces what earlier files say of steps from `first_step` on.
    /// TensorBoard's step is an iteration.
    ///
    /// # Errors
    /// Returns [`TrainError::Io`] where the system refuses.
    pub(crate) fn create(out: &Path, first_step: u64) -> Result<Self, TrainError> {
        let folder = out.join(FOLDER);
        fs::create_dir_all(&folder).map_err(TrainError::io(&folder))?;
        let (seconds, process) = (now(), std::process::id());
        let path = folder.join(format!("events.out.tfevents.{seconds:.6}.{process}.ratdata"));
        let file = File::create_new(&path).map_err(TrainError::io(&path))?;
        let mut events = Self { path, file: BufWriter::new(file) };
        events.record(&Event::new().text(3, "brain.Event:2"))?;
        let started = Message::default().varint(1, 1);
        events.record(&Event::new().varint(2, first_step).message(7, &started))?;
        Ok(events)
    }

    /// Appends the scalars of one step and flushes them.
    ///
    /// # Errors
    /// Returns [`TrainError::Io`] where the system refuses.
    pub(crate) fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let summary = values.iter().fold(Message::default(), |summary, (tag, value)| {
            summary.message(1, &Message::default().text(1, tag).float(2, *value))
        });
        self.record(&Event::new().varint(2, step).message(5, &summary))
    }

    /// Frames an event: length, its checksum, the bytes, their checksum.
    fn record(&mut self, event: &Message) -> Result<(), TrainError> {
        let bytes = &event.bytes;
        let len = (bytes.len() as u64).to_le_bytes();
        let frame = [&len[..], &masked_crc(&len), bytes, &masked_crc(bytes)].concat();
        self.file
            .write_all(&frame)
            .and_then(|()| self.file.flush())
            .map_err(|source: io::Error| TrainError::Io { path: self.path.clone(), source })
    }
}

/// Events begin with the time of the wall clock.
struct Event;

impl Event {
    #[expect(clippy::new_ret_no_self, reason = "an event is a message whose first field is set")]
    fn new() -> Message {
        Message::default().double(1, now())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A protocol-buffers message, encoded field by field.
#[derive(Clone, Debug, Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(mut self, field: u8, value: u64) -> Self {
        self.bytes.push(field << 3);
        self.number(value);
        self
    }

    fn double(mut self, field: u8, value: f64) -> Self {
        self.bytes.push(field << 3 | 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn float(mut self, field: u8, value: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the format keeps scalars as f32")]
        let value = value as f32;
        self.bytes.push(field << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn text(self, field: u8, text: &str) -> Self {
        self.field(field, text.as_bytes())
    }

    fn message(self, field: u8, message: &Self) -> Self {
        self.field(field, &message.bytes)
    }

    fn field(mut self, field: u8, bytes: &[u8]) -> Self {
        self.bytes.push(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.bytes.extend(bytes);
        self
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }
}

/// The checksum in the form of `TFRecord`: rotated, and a constant added.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32 with Castagnoli's polynomial, bit by bit: a line has only a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value that catalogues of CRCs give.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn frames_follow_one_another_and_hold_the_scalars() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 7).unwrap();
        events.scalars(300, &[("loss/train", 6.25)]).unwrap();

        let bytes = fs::read(&events.path).unwrap();
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let len = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
            assert_eq!(rest[8..12], masked_crc(&rest[..8]));
            let body = &rest[12..12 + len];
            assert_eq!(rest[12 + len..16 + len], masked_crc(body));
            frames.push(body.to_vec());
            rest = &rest[16 + len..];
        }

        assert_eq!(frames.len(), 3);
        assert!(frames[0].ends_with(b"brain.Event:2"));
        assert_eq!(frames[1][9..], [0x10, 7, 0x3a, 2, 8, 1]);
        let mut scalar = vec![0x10, 0xac, 2, 0x2a, 19, 0x0a, 17, 0x0a, 10];
        scalar.extend(b"loss/train");
        scalar.push(0x15);
        scalar.extend(6.25_f32.to_le_bytes());
        assert_eq!(frames[2][9..], scalar);
    }
}
