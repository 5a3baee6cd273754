//! The learning rate: linear warm-up, then half a cosine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configures the schedule of learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The highest learning rate, reached at the end of the warm-up.
    #[serde(default = "default_peak")]
    pub peak: f64,
    /// The last learning rate.
    #[serde(default = "default_floor")]
    pub floor: f64,
    /// The fraction of the iterations that the warm-up takes, from 0 to 1.
    #[serde(default = "default_warmup")]
    pub warmup: f64,
}

fn default_peak() -> f64 {
    8e-4
}

fn default_floor() -> f64 {
    1e-6
}

fn default_warmup() -> f64 {
    0.05
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { peak: default_peak(), floor: default_floor(), warmup: default_warmup() }
    }
}

/// The learning rate of every iteration of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    warmup_iterations: u64,
    iterations: u64,
}

impl ScheduleConfig {
    /// Returns the schedule of a run of so many iterations. The warm-up takes whole iterations,
    /// rounded down.
    pub fn over(self, iterations: u64) -> Schedule {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the fraction is between 0 and 1, so the product is between 0 and `iterations`"
        )]
        let warmup_iterations = (self.warmup.clamp(0.0, 1.0) * iterations as f64) as u64;
        Schedule { config: self, warmup_iterations, iterations }
    }
}

impl Schedule {
    /// Returns the learning rate of an iteration, counted from 0.
    pub fn lr(&self, iteration: u64) -> f64 {
        let ScheduleConfig { peak, floor, .. } = self.config;
        if iteration < self.warmup_iterations {
            return (iteration + 1) as f64 / self.warmup_iterations as f64 * peak;
        }
        let length = (self.iterations - self.warmup_iterations).max(1) as f64;
        let done = ((iteration - self.warmup_iterations) as f64 / length).min(1.0);
        floor + (peak - floor) * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_recipe_at_its_corners() {
        let schedule = ScheduleConfig::default().over(1000);

        assert!((schedule.lr(0) - 8e-4 / 50.0).abs() < 1e-18);
        assert!((schedule.lr(49) - 8e-4).abs() < 1e-18);
        assert!((schedule.lr(50) - 8e-4).abs() < 1e-18);
        assert!((schedule.lr(525) - (1e-6 + (8e-4 - 1e-6) / 2.0)).abs() < 1e-15);
        assert!((schedule.lr(1000) - 1e-6).abs() < 1e-18);
    }

    #[test]
    fn a_run_without_warm_up_begins_at_the_peak() {
        let schedule = ScheduleConfig { warmup: 0.0, ..ScheduleConfig::default() }.over(10);

        assert!((schedule.lr(0) - 8e-4).abs() < 1e-18);
    }
}
