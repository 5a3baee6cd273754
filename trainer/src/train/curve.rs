//! The loss curve of a run as a self-contained SVG.

use ratdata_console::{Plot, Scale, Series};

use super::metrics::MetricsLine;

/// Draws training and validation loss over tokens, where there are at least two points.
pub(crate) fn draw(title: &str, lines: &[MetricsLine]) -> Option<String> {
    let points = |loss: fn(&MetricsLine) -> Option<f64>| -> Vec<(f64, f64)> {
        lines
            .iter()
            .filter_map(|line| Some((line.tokens as f64, loss(line).filter(|l| l.is_finite())?)))
            .collect()
    };
    let train = smoothed(&points(|line| line.loss));
    let validation = points(|line| line.val_loss);
    if train.len() + validation.len() < 2 {
        return None;
    }
    let series = [("training loss", train), ("validation loss", validation)];
    let series = series.map(|(name, points)| {
        let last = points.last().map(|(_, loss)| format!(", at last {loss:.3}"));
        Series { name: format!("{name}{}", last.unwrap_or_default()), points }
    });
    let plot = Plot::lines(title, "tokens", (Scale::Linear, Scale::Linear), &series);
    Some(plot.noted("loss in nats").svg())
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

        assert!(svg.contains("tiny &lt;rat&gt;") && svg.contains("training loss, at last 0.256"));
        assert!(svg.contains("validation loss, at last 0.282") && svg.contains(">100k<"));
    }

    #[test]
    fn a_run_of_one_point_has_no_curve() {
        assert_eq!(draw("x", &[MetricsLine { loss: Some(1.0), ..MetricsLine::default() }]), None);
    }
}
