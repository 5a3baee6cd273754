//! Renders an inspection for the terminal.

use std::fmt;

use ratdata_console::{grouped, sized};

use super::view::{IdCount, Inspection, LengthsView, SplitView, StreamView};

/// The width of the longest bar.
const BAR: usize = 40;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path.display())?;
        let tokenizer = self.tokenizer.as_deref().unwrap_or("unknown");
        let vocabulary = self
            .vocab_size
            .map_or_else(String::new, |size| format!(", {} ids", grouped(size.into())));
        writeln!(f, "{} ids, tokenizer {tokenizer}{vocabulary}", self.dtype)?;
        for split in &self.splits {
            writeln!(f)?;
            split.write(f, self.vocab_size)?;
        }
        if self.warnings.is_empty() {
            return write!(f, "\nnothing odd was found");
        }
        writeln!(f, "\nlook at this:")?;
        for warning in &self.warnings {
            writeln!(f, "  ! {warning}")?;
        }
        Ok(())
    }
}

impl SplitView {
    fn write(&self, f: &mut fmt::Formatter<'_>, vocab_size: Option<u32>) -> fmt::Result {
        writeln!(
            f,
            "{} · {} · {} tokens in {} documents · {}",
            self.name,
            self.layout,
            grouped(self.tokens),
            self.documents.map_or_else(|| "unknown".into(), grouped),
            sized(self.bytes)
        )?;
        for shard in &self.shards {
            writeln!(
                f,
                "  {:<40} {:>16} tokens {:>12} documents",
                shard.name,
                grouped(shard.tokens),
                grouped(shard.documents)
            )?;
        }
        if let Some(rows) = &self.rows {
            writeln!(
                f,
                "  {} rows of {} inputs · padding {:.2}% · trained on {:.2}% of the positions",
                grouped(rows.rows),
                grouped(rows.seq_len as u64),
                rows.padding() * 100.0,
                rows.trained_share() * 100.0
            )?;
        }
        if let Some(lengths) = &self.lengths {
            lengths.write(f)?;
        }
        let coverage = vocab_size.map_or_else(String::new, |size| {
            format!(
                " ({:.1}% of the vocabulary)",
                self.ids.used as f64 * 100.0 / f64::from(size.max(1))
            )
        });
        write!(f, "  {} different ids{coverage}", grouped(self.ids.used))?;
        if let (Some(bytes), Some(unk)) = (self.ids.byte_share, self.ids.unk_share) {
            write!(f, " · single bytes {:.3}% · unknown {:.3}%", bytes * 100.0, unk * 100.0)?;
        }
        if let Some(bytes) = self.bytes_per_token {
            write!(f, " · {bytes:.3} bytes a token")?;
        }
        writeln!(f)?;
        writeln!(f, "  most   {}", listed(&self.ids.most))?;
        writeln!(f, "  least  {}", listed(&self.ids.least))?;
        self.stream.write(f)
    }
}

impl StreamView {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ended, self.inner_eos) {
            (Some(ended), Some(inner)) => {
                let (ended, inner) = (grouped(ended), grouped(inner));
                write!(f, "  EOS ends {ended} documents and stands {inner} times within")?;
            }
            _ => write!(f, "  EOS is not known")?,
        }
        if let Some(gap) = self.longest_without_eos {
            write!(f, " · at most {} tokens without it", grouped(gap))?;
        }
        write!(f, " · repeated documents {}", grouped(self.duplicate_documents))?;
        if let Some(masked) = self.masked_share {
            write!(f, " · masked {:.2}%", masked * 100.0)?;
        }
        writeln!(f)
    }
}

impl LengthsView {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  tokens a document: mean {:.0}", self.mean)?;
        for (share, length) in &self.percentiles {
            let name =
                if *share >= 1.0 { "max".to_owned() } else { format!("p{:.0}", share * 100.0) };
            write!(f, " · {name} {}", grouped(*length))?;
        }
        writeln!(f)?;
        let most = self.powers.iter().map(|bin| bin.2).max().unwrap_or(1).max(1);
        for (from, below, count) in &self.powers {
            writeln!(
                f,
                "  {:>9} – {:<9} {:<BAR$} {}",
                grouped(*from),
                grouped(below - 1),
                bar(*count, most),
                grouped(*count)
            )?;
        }
        Ok(())
    }
}

/// Returns a bar for a count, relative to the largest count, in eighths of a character.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a small width is a small width"
)]
fn bar(count: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (count as f64 / most as f64 * (BAR * 8) as f64).round() as usize;
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn listed(ids: &[IdCount]) -> String {
    let one = |id: &IdCount| match &id.piece {
        Some(piece) => format!("{:?}×{}", piece.replace('▁', "␣"), grouped(id.count)),
        None => format!("{}×{}", id.id, grouped(id.count)),
    };
    ids.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_full_and_the_shortest_is_seen() {
        assert_eq!(bar(5, 5).chars().count(), BAR);
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(0, 7), "");
    }
}
