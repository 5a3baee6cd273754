//! Draws a plan: as Mermaid, as Graphviz, or as SVG in layers.

use super::plan::{Plan, PlanIndex, State};

/// Writes the plan as a Mermaid flow chart; its ids are the steps' numbers.
pub(crate) fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (number, step) in plan.steps.iter().enumerate() {
        let class = if step.state == State::Fresh { "fresh" } else { "stale" };
        let box_of = format!("  s{number}[\"{}<br/>{}\"]:::{class}", step.name, step.kind);
        line(&mut text, &box_of);
        for PlanIndex(take) in &step.takes {
            line(&mut text, &format!("  s{take} --> s{number}"));
        }
    }
    line(&mut text, "  classDef fresh fill:#d7f0dc,stroke:#2e7d46");
    line(&mut text, "  classDef stale fill:#fdebc8,stroke:#a66a00");
    text
}

/// Writes the plan in Graphviz's language.
pub(crate) fn dot(plan: &Plan) -> String {
    let mut text =
        "digraph pipeline {\n  rankdir=LR;\n  node [shape=box, style=filled];\n".to_owned();
    for step in &plan.steps {
        let fill = fill(step.state);
        line(
            &mut text,
            &format!(
                "  \"{0}\" [label=\"{0}\\n{1}\", fillcolor=\"{fill}\"];",
                step.name, step.kind
            ),
        );
        for input in &step.inputs {
            line(&mut text, &format!("  \"{input}\" -> \"{}\";", step.name));
        }
    }
    text.push_str("}\n");
    text
}

/// Draws the plan as SVG: a step stands one column right of the last of its inputs.
pub(crate) fn svg(plan: &Plan) -> String {
    let places = Places::of(plan);
    let (width, height) = places.size();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    for (number, step) in plan.indexes().zip(&plan.steps) {
        let (x, y, wide) = places.of_step(number);
        for &input in &step.takes {
            let (from_x, from_y, from_wide) = places.of_step(input);
            let (from_x, from_y, y) = (from_x + from_wide, from_y + BOX / 2, y + BOX / 2);
            let middle = usize::midpoint(from_x, x);
            line(
                &mut text,
                &format!(
                    "<path d=\"M{from_x} {from_y} C{middle} {from_y} {middle} {y} {x} {y}\" fill=\"none\" stroke=\"#777\"/>"
                ),
            );
        }
        line(
            &mut text,
            &format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{BOX}\" rx=\"6\" fill=\"{}\" stroke=\"#555\"/>",
                fill(step.state)
            ),
        );
        for (y, fill, word) in
            [(y + 19, "#000", step.name.as_str()), (y + 36, "#555", step.kind.name())]
        {
            let x = x + wide / 2;
            line(
                &mut text,
                &format!(
                    "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"{fill}\">{word}</text>"
                ),
            );
        }
    }
    text.push_str("</svg>\n");
    text
}

/// How high a box is, how far boxes are apart, and how far the drawing is from its edge.
const BOX: usize = 44;
const BELOW: usize = 26;
const GAP: usize = 56;
const EDGE: usize = 20;

/// Where the boxes of a drawing stand: columns as wide as the widest name in them.
struct Places {
    /// Column and row of each step.
    at: Vec<(usize, usize)>,
    /// How wide the boxes of each column are.
    wide: Vec<usize>,
    rows: usize,
}

impl Places {
    fn of(plan: &Plan) -> Self {
        let mut at: Vec<(usize, usize)> = Vec::new();
        let (mut rows, mut wide): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for step in &plan.steps {
            let column = step.takes.iter().map(|take| at[take.0].0 + 1).max().unwrap_or(0);
            rows.resize(rows.len().max(column + 1), 0);
            wide.resize(rows.len(), 0);
            at.push((column, rows[column]));
            rows[column] += 1;
            wide[column] = wide[column].max(width_of(&step.name));
        }
        Self { at, wide, rows: rows.into_iter().max().unwrap_or(0) }
    }

    /// Returns the left and the upper edge of a step's box, and how wide it is.
    fn of_step(&self, PlanIndex(step): PlanIndex) -> (usize, usize, usize) {
        let (column, row) = self.at[step];
        let left: usize = self.wide[..column].iter().map(|wide| wide + GAP).sum();
        (EDGE + left, EDGE + row * (BOX + BELOW), self.wide[column])
    }

    fn size(&self) -> (usize, usize) {
        let wide: usize = self.wide.iter().map(|wide| wide + GAP).sum();
        let high = self.rows * (BOX + BELOW);
        (wide.saturating_sub(GAP) + 2 * EDGE, high.saturating_sub(BELOW) + 2 * EDGE)
    }
}

/// Returns how wide a box is that a name fits in: letters of 13 units are 9 wide at most, but for
/// `m` and `w`, and most are narrower.
fn width_of(name: &str) -> usize {
    const LEAST: usize = 120;
    let letters: usize = name.chars().map(|c| if "mwMW".contains(c) { 12 } else { 8 }).sum();
    (letters + 24).max(LEAST)
}

fn fill(state: State) -> &'static str {
    if state == State::Fresh { "#d7f0dc" } else { "#fdebc8" }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
