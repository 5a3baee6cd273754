//! The learning rate: linear warm-up, then half a cosine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configures the learning rate's course.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The highest learning rate, reached at the end of the warm-up.
    #[serde(default = "default_peak")]
    pub peak: f64,
    /// The last learning rate.
    #[serde(default = "default_floor")]
    pub floor: f64,
    /// The part of the steps that the warm-up takes, from 0 to 1.
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

/// The learning rate of every step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    warmup_steps: u64,
    steps: u64,
}

impl ScheduleConfig {
    /// Lays the course over a run of `steps` steps; the warm-up takes whole steps, rounded down.
    pub fn over(self, steps: u64) -> Schedule {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the part is between 0 and 1, so the product is between 0 and `steps`"
        )]
        let warmup_steps = (self.warmup.clamp(0.0, 1.0) * steps as f64) as u64;
        Schedule { config: self, warmup_steps, steps }
    }
}

impl Schedule {
    /// Returns the learning rate of a step, counted from 0.
    pub fn lr(&self, step: u64) -> f64 {
        let ScheduleConfig { peak, floor, .. } = self.config;
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64 * peak;
        }
        let span = (self.steps - self.warmup_steps).max(1) as f64;
        let done = ((step - self.warmup_steps) as f64 / span).min(1.0);
        floor + (peak - floor) * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_is_the_recipe_at_its_corners() {
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
