//! Which vector instructions are used.

use std::fmt;
use std::sync::LazyLock;

/// Names a level that the engine may use at most: `plain`, `avx2`, `avx512` or `neon`.
pub(crate) const VARIABLE: &str = "RATDATA_CPU";

/// A set of vector instructions; the processor has those of every level that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// None: words of eight bytes.
    Plain,
    /// AVX2 and bit manipulation (BMI1, BMI2, LZCNT, POPCNT), which nearly every x86 processor has.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with permutations and compressions of bytes (VBMI, VBMI2), and 64-bit products.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON, which every 64-bit ARM processor has. Tests have it everywhere, in plain code.
    #[cfg(any(target_arch = "aarch64", test))]
    Neon,
}

/// The names of all levels, of every architecture.
const NAMES: [&str; 4] = ["plain", "avx2", "avx512", "neon"];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(any(target_arch = "aarch64", test))]
            Self::Neon => "neon",
        })
    }
}

impl Level {
    /// Returns the levels of this machine, the best last.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg_attr(
            not(any(target_arch = "x86_64", target_arch = "aarch64")),
            expect(unused_mut, reason = "other architectures have one level")
        )]
        let mut levels = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            levels.push(Self::Avx2);
            if is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                levels.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Self::Neon);
        levels
    }

    /// Returns the best level of this machine, or the best that the environment allows.
    ///
    /// # Errors
    ///
    /// The environment names no level.
    pub(crate) fn of_machine() -> Result<Self, String> {
        static CHOSEN: LazyLock<Result<Level, String>> = LazyLock::new(|| {
            let named = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
            Level::at_most(named.as_deref())
        });
        CHOSEN.clone()
    }

    /// Returns the best level of this machine that is not above the one of this name.
    fn at_most(name: Option<&str>) -> Result<Self, String> {
        let rank = |name: &str| NAMES.iter().position(|other| *other == name);
        let Some(name) = name else { return Ok(Self::best(|_| true)) };
        let most = rank(name).ok_or_else(|| name.to_owned())?;
        // A level of another architecture is above all of this one's, but for the plain one.
        Ok(Self::best(|level| rank(&level.to_string()).is_some_and(|rank| rank <= most)))
    }

    fn best(allowed: impl Fn(Self) -> bool) -> Self {
        Self::available().into_iter().rfind(|level| allowed(*level)).unwrap_or(Self::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_caps_the_level() {
        let levels = Level::available();

        assert_eq!(Level::at_most(Some("plain")), Ok(Level::Plain));
        assert_eq!(Level::at_most(None).as_ref(), Ok(levels.last().unwrap()));
        for level in levels {
            assert_eq!(Level::at_most(Some(&level.to_string())), Ok(level));
        }
        assert_eq!(Level::at_most(Some("sse9")), Err("sse9".to_owned()));
    }
}
