//! A plot as an SVG file that needs nothing else.

use std::fmt::{self, Write};

use crate::plot::{Dot, Plot, SERIES_COLORS};

/// The colors of the series, in their order.
const COLORS: [&str; SERIES_COLORS] =
    ["#1f5fbf", "#c2410c", "#15803d", "#7e22ce", "#0f766e", "#a16207"];

/// The color of names and numbers.
const SOFT: &str = "#59636e";

/// The space above the canvas for the title and the legend, and below it for the name of the axis.
const HEAD: f64 = 40.0;
const FOOT: f64 = 12.0;

impl Plot {
    /// Returns the plot as the text of an SVG file.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        let written = self.write_svg(&mut svg);
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        svg
    }

    fn write_svg(&self, svg: &mut String) -> fmt::Result {
        let (width, height) = (self.width + 12.0, self.height + HEAD + FOOT);
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {} {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
             <rect y=\"{}\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"12\" y=\"-22\" font-size=\"14\" font-weight=\"600\" fill=\"#1f2328\">{}</text>",
            -HEAD,
            -HEAD,
            escaped(format!("{} {}", self.title, self.note).trim_end())
        )?;
        self.write_axes(svg)?;
        for bar in &self.bars {
            writeln!(
                svg,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>{}</title></rect>",
                bar.x,
                bar.y,
                bar.w,
                bar.h,
                color(bar.series),
                escaped(&bar.label)
            )?;
        }
        for line in &self.lines {
            writeln!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
                line.path,
                color(line.series)
            )?;
            for Dot { x, y, label } in &line.dots {
                let (color, label) = (color(line.series), escaped(label));
                writeln!(
                    svg,
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.6\" fill=\"{color}\"><title>{label}</title></circle>"
                )?;
            }
        }
        let mut at = 12.0;
        for (number, entry) in self.legend.iter().enumerate() {
            writeln!(
                svg,
                "<text x=\"{at}\" y=\"-4\" fill=\"{}\">{}</text>",
                color(number),
                escaped(entry)
            )?;
            at += 7.0 * entry.chars().count() as f64 + 18.0;
        }
        writeln!(svg, "</svg>")
    }

    fn write_axes(&self, svg: &mut String) -> fmt::Result {
        for tick in &self.y_ticks {
            writeln!(
                svg,
                "<path d=\"M{} {at}H{}\" stroke=\"#d8dee4\"/>\n\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{SOFT}\">{}</text>",
                self.left,
                self.right,
                self.left - 6.0,
                tick.at + 4.0,
                tick.label,
                at = tick.at,
            )?;
        }
        for tick in &self.x_ticks {
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{SOFT}\">{}</text>",
                tick.at,
                self.bottom + 17.0,
                escaped(&tick.label)
            )?;
        }
        writeln!(
            svg,
            "<path d=\"M{} {bottom}H{}\" stroke=\"{SOFT}\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{SOFT}\">{}</text>",
            self.left,
            self.right,
            f64::midpoint(self.left, self.right),
            self.height - 3.0,
            escaped(&self.x_name),
            bottom = self.bottom,
        )
    }
}

fn color(series: usize) -> &'static str {
    COLORS[series % COLORS.len()]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use crate::plot::{Plot, Scale, Series};

    #[test]
    fn a_file_names_its_series_and_escapes_its_title() {
        let series = ["train", "validation"].map(|name| Series {
            name: name.to_owned(),
            points: (1..40_u32).map(|at| (f64::from(at), 1.0 / f64::from(at))).collect(),
        });

        let svg =
            Plot::lines("tiny <rat>", "tokens", (Scale::Linear, Scale::Linear), &series).svg();

        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("tiny &lt;rat&gt;") && svg.contains(">validation</text>"));
        assert_eq!(svg.matches("<circle").count(), 2 * 39);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn bars_have_their_names() {
        let named = [("one".to_owned(), 1.0), ("two".to_owned(), 2.0)];

        let svg = Plot::bars("t", "x", &named).svg();

        assert!(svg.contains("<title>two: 2</title>") && svg.contains(">one</text>"));
    }
}
