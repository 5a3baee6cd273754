//! The channels of a projection, and how rows are cut into strands.

/// How many threads keep a GPU at work: with so many rows and channels, segments gain nothing.
const ENOUGH_THREADS: usize = 1 << 17;

/// How many time steps a segment has.
const SEGMENT: usize = 128;

/// The numbers of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the projection.
    pub rows: usize,
    /// Time steps of a row.
    pub seq: usize,
    /// Channels of the output gates, of the values, of the gates and of the states: three times so many
    /// begin a projection.
    pub width: usize,
    /// Channels of the queries and of the keys that end a projection; none where only values are scanned.
    /// They divide `width`, and each is the key of several channels.
    pub key_width: Option<usize>,
    /// Time steps after which each state begins from zero, where that is the same for all rows.
    pub chunk_len: Option<usize>,
}

/// How a row is cut into strands, one for each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strands {
    /// Chunks, which begin from zero.
    Chunks,
    /// The whole row.
    Rows,
    /// Segments that read on beyond their ends, to where a state begins from zero. RAT's documents begin a
    /// chunk, so that this is near.
    Overlapping,
    /// Segments that learn in passes of their own what comes into them.
    Joined,
}

impl Sizes {
    /// Returns all channels of a projection.
    pub fn channels(&self) -> usize {
        3 * self.width + 2 * self.key_width.unwrap_or(0)
    }

    /// Returns how rows are cut.
    pub fn strands(&self) -> Strands {
        if self.chunk_len.is_some() {
            return Strands::Chunks;
        }
        if self.seq <= 2 * SEGMENT || self.rows * self.columns() >= ENOUGH_THREADS {
            return Strands::Rows;
        }
        if self.key_width.is_some() { Strands::Overlapping } else { Strands::Joined }
    }

    /// Returns the time steps of a strand.
    pub(crate) fn span(&self) -> usize {
        match self.strands() {
            Strands::Chunks => self.chunk_len.unwrap_or(self.seq),
            Strands::Rows => self.seq,
            Strands::Overlapping | Strands::Joined => SEGMENT,
        }
    }

    /// Returns how many strands a row has.
    pub fn strands_of_a_row(&self) -> usize {
        self.seq.div_ceil(self.span())
    }

    /// Returns how many threads share a time step.
    pub(crate) fn columns(&self) -> usize {
        self.key_width.unwrap_or(self.width)
    }

    /// Returns how many channels of a time step a thread takes.
    pub(crate) fn repeats(&self) -> usize {
        self.width / self.columns()
    }

    /// Returns how many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.rows * self.strands_of_a_row() * self.columns()
    }
}
