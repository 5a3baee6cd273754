//! The loss curve of a run as a self-contained SVG.

use std::fmt::Write;

use super::metrics::MetricsLine;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;

/// Draws training and validation loss over tokens, where there are at least two points.
pub(crate) fn draw(title: &str, lines: &[MetricsLine]) -> Option<String> {
    let points = |loss: fn(&MetricsLine) -> Option<f64>| -> Vec<(f64, f64)> {
        lines
            .iter()
            .filter_map(|line| Some((line.tokens as f64, loss(line).filter(|l| l.is_finite())?)))
            .collect()
    };
    let (train, validation) = (points(|line| line.loss), points(|line| line.val_loss));
    let all = || train.iter().chain(&validation);
    if all().count() < 2 {
        return None;
    }
    let edge = |of: fn(&(f64, f64)) -> f64, pick: fn(f64, f64) -> f64| {
        all().map(of).reduce(pick).unwrap_or(0.0)
    };
    let highest_x = edge(|p| p.0, f64::max).max(1.0);
    let (low, high) = (edge(|p| p.1, f64::min), edge(|p| p.1, f64::max));
    let step = tick((high - low).max(0.1) / 5.0);
    let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
    let high = if high > low { high } else { low + step };
    let frame = Frame { highest_x, low, high };

    let mut svg = String::new();
    push(
        &mut svg,
        format_args!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="24" font-size="15" font-weight="600" fill="#1f2328">{}</text>
"##,
            escaped(title)
        ),
    );
    frame.draw_axes(&mut svg, step);
    frame.draw_line(&mut svg, &train, "#8fb4e3", 1.2);
    frame.draw_line(&mut svg, &smoothed(&train), "#1f5fbf", 2.0);
    frame.draw_line(&mut svg, &validation, "#c2410c", 2.0);
    for &(x, y) in &validation {
        let (x, y) = (frame.x(x), frame.y(y));
        push(
            &mut svg,
            format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#c2410c\"/>\n"),
        );
    }
    let legend = [("train", "#1f5fbf", train.last()), ("validation", "#c2410c", validation.last())];
    let mut at = WIDTH - RIGHT;
    for (name, color, last) in legend.into_iter().rev() {
        let Some((_, loss)) = last else { continue };
        push(
            &mut svg,
            format_args!(
                "<text x=\"{at:.0}\" y=\"24\" text-anchor=\"end\" fill=\"{color}\">{name} {loss:.3}</text>\n"
            ),
        );
        at -= 130.0;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Maps values to positions in the picture.
struct Frame {
    highest_x: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, tokens: f64) -> f64 {
        LEFT + tokens / self.highest_x * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, loss: f64) -> f64 {
        TOP + (self.high - loss) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw_axes(&self, svg: &mut String, step: f64) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut loss = self.low;
        while loss <= self.high + step / 2.0 {
            let y = self.y(loss);
            let below = y + 4.0;
            push(
                svg,
                format_args!(
                    "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#d8dee4\"/>\n\
                 <text x=\"{:.0}\" y=\"{below:.1}\" text-anchor=\"end\" fill=\"#59636e\">{}</text>\n",
                    LEFT - 8.0,
                    rounded(loss)
                ),
            );
            loss += step;
        }
        let step = tick(self.highest_x / 6.0);
        let mut tokens = 0.0;
        while tokens <= self.highest_x {
            let (x, below) = (self.x(tokens), bottom + 18.0);
            push(
                svg,
                format_args!(
                    "<text x=\"{x:.1}\" y=\"{below:.1}\" text-anchor=\"middle\" fill=\"#59636e\">{}</text>\n",
                    shortened(tokens)
                ),
            );
            tokens += step;
        }
        push(
            svg,
            format_args!(
                "<path d=\"M{LEFT} {bottom}H{right}\" stroke=\"#59636e\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#59636e\">tokens</text>\n\
             <text x=\"16\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#59636e\" transform=\"rotate(-90 16 {:.0})\">loss, nats</text>\n",
                f64::midpoint(LEFT, right),
                HEIGHT - 10.0,
                f64::midpoint(TOP, bottom),
                f64::midpoint(TOP, bottom),
            ),
        );
    }

    fn draw_line(&self, svg: &mut String, points: &[(f64, f64)], color: &str, width: f64) {
        if points.len() < 2 {
            return;
        }
        svg.push_str("<polyline points=\"");
        for &(x, y) in points {
            push(svg, format_args!("{:.1},{:.1} ", self.x(x), self.y(y)));
        }
        push(
            svg,
            format_args!(
                "\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>\n"
            ),
        );
    }
}

/// Averages each point with a sixtieth of the points on either side. A short run is not smoothed.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 60;
    (0..points.len())
        .map(|at| {
            let reach = reach.min(at).min(points.len() - 1 - at);
            let near = &points[at - reach..=at + reach];
            (points[at].0, near.iter().map(|point| point.1).sum::<f64>() / near.len() as f64)
        })
        .collect()
}

/// Rounds a distance between ticks up to 1, 2 or 5 times a power of ten.
fn tick(distance: f64) -> f64 {
    let power = 10_f64.powf(distance.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= distance);
    factor.unwrap_or(10.0) * power
}

fn rounded(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn shortened(number: f64) -> String {
    match number {
        n if n >= 1e9 => format!("{}B", rounded(n / 1e9)),
        n if n >= 1e6 => format!("{}M", rounded(n / 1e6)),
        n if n >= 1e3 => format!("{}k", rounded(n / 1e3)),
        n => rounded(n),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let written = svg.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_names_its_last_values() {
        let lines: Vec<MetricsLine> = (1..40)
            .map(|i| MetricsLine {
                iteration: i,
                tokens: i * 4096,
                loss: Some(10.0 / i as f64),
                val_loss: (i % 13 == 0).then(|| 11.0 / i as f64),
                ..MetricsLine::default()
            })
            .collect();

        let svg = draw("tiny <rat>", &lines).unwrap();

        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("tiny &lt;rat&gt;") && svg.contains("train 0.256"));
        assert!(svg.contains("validation 0.282") && svg.contains(">100k<"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_run_of_one_point_has_no_curve() {
        assert_eq!(draw("x", &[MetricsLine { loss: Some(1.0), ..MetricsLine::default() }]), None);
    }

    #[test]
    fn ticks_are_round() {
        assert!((tick(0.03) - 0.05).abs() < 1e-12);
        assert!((tick(170_000.0) - 200_000.0).abs() < 1e-6);
    }
}
