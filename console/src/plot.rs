//! Plots as numbers: positions of bars and lines on a small canvas. A page writes them into its own
//! SVG; [`Plot::svg`](crate::Plot::svg) writes a file of its own.

use serde::Serialize;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 428.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 214.0;

/// How many series have a color of their own; those after them have the same colors again.
pub(crate) const SERIES_COLORS: usize = 6;

/// A longer name below a bar is cut.
const LONGEST_NAME: usize = 12;

/// The most bars; more bars are drawn as means of adjacent ones.
const MOST_BARS: usize = 120;

/// A plot with all positions.
#[derive(Clone, Debug, Serialize)]
pub struct Plot {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) x_name: String,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    pub(crate) x_ticks: Vec<Tick>,
    pub(crate) y_ticks: Vec<Tick>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) lines: Vec<Line>,
    pub(crate) legend: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bar {
    pub(crate) series: usize,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) w: f64,
    pub(crate) h: f64,
    pub(crate) label: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) series: usize,
    pub(crate) path: String,
    pub(crate) dots: Vec<Dot>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Dot {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) label: String,
}

/// How numbers become positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps.
    Linear,
    /// Equal ratios; numbers that are not above zero are left out.
    Log,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// The numbers to the right and upwards.
    pub points: Vec<(f64, f64)>,
}

impl Plot {
    fn empty(title: &str, x_name: &str) -> Self {
        Self {
            title: title.to_owned(),
            note: String::new(),
            x_name: x_name.to_owned(),
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            bottom: BOTTOM,
            x_ticks: Vec::new(),
            y_ticks: Vec::new(),
            bars: Vec::new(),
            lines: Vec::new(),
            legend: Vec::new(),
        }
    }

    /// Draws a bar for each named number; the names of a few of them are written below.
    pub fn bars(title: &str, x_name: &str, named: &[(String, f64)]) -> Self {
        let mut plot = Self::empty(title, x_name);
        let many = named.len().div_ceil(MOST_BARS).max(1);
        if many > 1 {
            plot.note = format!("each bar is the mean of {many}");
        }
        let shown: Vec<(String, f64)> = named
            .chunks(many)
            .map(|few| {
                let mean = few.iter().map(|(_, value)| value).sum::<f64>() / few.len() as f64;
                let name = match few {
                    [.., (last, _)] if few.len() > 1 => format!("{} to {last}", few[0].0),
                    _ => few[0].0.clone(),
                };
                (name, mean)
            })
            .collect();
        let axis = Axis::new(Scale::Linear, shown.iter().map(|(_, value)| *value).chain([0.0]));
        plot.y_ticks = axis.ticks(|share| BOTTOM - share * (BOTTOM - TOP));
        let step = (RIGHT - LEFT) / shown.len().max(1) as f64;
        // As many names as fit in a line, with seven units for each character and some space.
        let widest = shown.iter().map(|(name, _)| name.chars().count().min(LONGEST_NAME)).max();
        let room = (widest.unwrap_or(1) + 2) as f64 * 7.0;
        let labelled = (1..=shown.len().max(1))
            .find(|&every| every as f64 * step >= room)
            .unwrap_or_else(|| shown.len().max(1));
        for (number, (name, value)) in shown.iter().enumerate() {
            let height = axis.share(*value).unwrap_or(0.0) * (BOTTOM - TOP);
            // A small number above zero is still visible.
            let height = if *value > 0.0 { height.max(1.0) } else { 0.0 };
            let x = LEFT + step * number as f64;
            let top = round(BOTTOM - height);
            plot.bars.push(Bar {
                series: 0,
                x: round(x + step * 0.08),
                y: top,
                w: round(step * 0.84),
                // Computed from the rounded top, so that the bar ends exactly on the axis.
                h: round(BOTTOM - top),
                label: format!("{name}: {}", amount(*value)),
            });
            if number.is_multiple_of(labelled) {
                plot.x_ticks
                    .push(Tick { at: round(x + step / 2.0), label: clipped(name, LONGEST_NAME) });
            }
        }
        plot
    }

    /// Draws lines; if there are only a few points, each is marked.
    pub fn lines(
        title: &str,
        x_name: &str,
        (x_scale, y_scale): (Scale, Scale),
        series: &[Series],
    ) -> Self {
        let mut plot = Self::empty(title, x_name);
        let points = || series.iter().flat_map(|series| series.points.iter().copied());
        let x_axis = Axis::new(x_scale, points().map(|(x, _)| x));
        let y_axis = Axis::new(y_scale, points().map(|(_, y)| y));
        plot.x_ticks = x_axis.ticks(|share| LEFT + share * (RIGHT - LEFT));
        plot.y_ticks = y_axis.ticks(|share| BOTTOM - share * (BOTTOM - TOP));
        for (number, series) in series.iter().enumerate() {
            let placed: Vec<Dot> = series
                .points
                .iter()
                .filter_map(|&(x, y)| {
                    Some(Dot {
                        x: round(LEFT + x_axis.share(x)? * (RIGHT - LEFT)),
                        y: round(BOTTOM - y_axis.share(y)? * (BOTTOM - TOP)),
                        label: format!("{}: {}", amount(x), amount(y)),
                    })
                })
                .collect();
            let mut path = String::new();
            for (place, dot) in placed.iter().enumerate() {
                let verb = if place == 0 { "M" } else { " L" };
                path += &format!("{verb}{} {}", dot.x, dot.y);
            }
            let dots = if placed.len() <= 40 { placed } else { Vec::new() };
            plot.lines.push(Line { series: number % SERIES_COLORS, path, dots });
        }
        if series.len() > 1 {
            plot.legend = series.iter().map(|series| series.name.clone()).collect();
        }
        plot
    }

    /// Adds a remark to the title.
    #[must_use]
    pub fn noted(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }
}

/// Maps numbers to shares of an axis.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    fn new(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let fits = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (mut from, mut to) = values
            .filter(fits)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), v| (from.min(v), to.max(v)));
        if from > to {
            (from, to) = (1.0, 2.0);
        }
        if scale == Scale::Log {
            let (from, to) = (from.log10().floor(), to.log10().ceil());
            return Self { scale, from, to: to.max(from + 1.0), step: 1.0 };
        }
        if to <= from {
            to = from + if from == 0.0 { 1.0 } else { from.abs() * 0.1 };
        }
        let step = pleasant((to - from) / 4.0);
        Self { scale, from: (from / step).floor() * step, to: (to / step).ceil() * step, step }
    }

    /// Returns the share of the axis at which a number is drawn.
    fn share(&self, value: f64) -> Option<f64> {
        let value = if self.scale == Scale::Log { value.log10() } else { value };
        value.is_finite().then(|| (value - self.from) / (self.to - self.from))
    }

    fn ticks(&self, place: impl Fn(f64) -> f64) -> Vec<Tick> {
        let mut ticks = Vec::new();
        // One or several decades between labels: at most seven labels.
        let step = if self.scale == Scale::Log {
            ((self.to - self.from) / 6.0).ceil().max(1.0)
        } else {
            self.step
        };
        for number in 0..=12_u32 {
            let value = self.from + f64::from(number) * step;
            if value > self.to + step * 1e-6 {
                break;
            }
            let share = (value - self.from) / (self.to - self.from);
            let shown = if self.scale == Scale::Log { 10_f64.powf(value) } else { value };
            ticks.push(Tick { at: round(place(share)), label: amount(shown) });
        }
        ticks
    }
}

/// Returns the least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below a step.
fn pleasant(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let times = [1.0, 2.0, 2.5, 5.0, 10.0];
    times.into_iter().map(|times| times * power).find(|&found| found >= step).unwrap_or(step)
}

/// Writes a number short enough for an axis: `1.5k`, `20M`, `3e-4`.
pub fn amount(value: f64) -> String {
    let size = value.abs();
    let (scaled, unit) = match size {
        _ if size >= 1e12 => (value / 1e12, "T"),
        _ if size >= 1e9 => (value / 1e9, "G"),
        _ if size >= 1e6 => (value / 1e6, "M"),
        _ if size >= 1e4 => (value / 1e3, "k"),
        _ if size != 0.0 && size < 1e-3 => {
            let text = format!("{value:.2e}");
            return text.replace(".00e", "e").replace("0e", "e");
        }
        _ => (value, ""),
    };
    let text = format!("{scaled:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{unit}", if text == "-0" { "0" } else { text })
}

fn clipped(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let short: String = name.chars().take(most - 1).collect();
    format!("{short}…")
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        let told = [0.0, 12.0, 9_999.0, 20_000.0, 1.5e6, 3e-4, 2.55].map(amount);

        assert_eq!(told, ["0", "12", "9999", "20k", "1.5M", "3e-4", "2.55"]);
    }

    #[test]
    fn every_bar_and_point_lies_on_the_canvas() {
        let named: Vec<(String, f64)> =
            (0..1000_u32).map(|n| (format!("shard {n}"), f64::from(n % 37))).collect();
        let points = (1..500_u32).map(|n| (f64::from(n), 1e6 / f64::from(n))).collect();

        let bars = Plot::bars("t", "x", &named);
        let series = [Series { name: "s".into(), points }];
        let lines = Plot::lines("t", "x", (Scale::Log, Scale::Log), &series);

        assert!(bars.bars.len() <= MOST_BARS && bars.note.contains("mean of"));
        assert!(bars.bars.iter().all(|bar| bar.y >= TOP && bar.y + bar.h <= BOTTOM + 0.1));
        assert_eq!(lines.lines[0].path.matches(['M', 'L']).count(), 499);
        assert!(lines.x_ticks.iter().all(|tick| (LEFT..=RIGHT).contains(&tick.at)));
    }

    #[test]
    fn no_number_and_odd_numbers_draw_an_empty_plot() {
        for points in [vec![], vec![(f64::NAN, 1.0), (0.0, -1.0)]] {
            let series = [Series { name: "s".into(), points }];

            let plot = Plot::lines("t", "x", (Scale::Log, Scale::Log), &series);

            assert_eq!(plot.lines[0].path, "");
        }
    }
}
