//! Draws a plan: as Mermaid, as Graphviz, or as SVG in layers.

use super::plan::{Plan, State};

/// Writes the plan as a Mermaid flow chart.
pub(crate) fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for step in &plan.steps {
        let class = if step.state == State::Fresh { "fresh" } else { "stale" };
        line(
            &mut text,
            &format!("  s_{}[\"{}<br/>{}\"]:::{class}", id(&step.name), step.name, step.kind),
        );
        for input in &step.inputs {
            line(&mut text, &format!("  s_{} --> s_{}", id(input), id(&step.name)));
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
    const WIDE: usize = 200;
    const HIGH: usize = 70;
    let mut at: Vec<(usize, usize)> = Vec::new();
    let mut rows: Vec<usize> = Vec::new();
    let number = |name: &str| plan.steps.iter().position(|step| step.name == name);
    for step in &plan.steps {
        let inputs = step.inputs.iter().filter_map(|name| number(name));
        let column = inputs.map(|input| at[input].0 + 1).max().unwrap_or(0);
        rows.resize(rows.len().max(column + 1), 0);
        at.push((column, rows[column]));
        rows[column] += 1;
    }
    let (width, height) = (rows.len() * WIDE + 20, rows.iter().max().unwrap_or(&0) * HIGH + 20);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    let spot = |(column, row): (usize, usize)| (column * WIDE + 20, row * HIGH + 20);
    for (step, &to) in plan.steps.iter().zip(&at) {
        let (x, y) = spot(to);
        for input in step.inputs.iter().filter_map(|name| number(name)) {
            let (from_x, from_y) = spot(at[input]);
            let (from_x, from_y, y) = (from_x + 150, from_y + 22, y + 22);
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
                "<rect x=\"{x}\" y=\"{y}\" width=\"150\" height=\"44\" rx=\"6\" fill=\"{}\" stroke=\"#555\"/>",
                fill(step.state)
            ),
        );
        line(
            &mut text,
            &format!(
                "<text x=\"{0}\" y=\"{1}\" text-anchor=\"middle\">{2}</text>",
                x + 75,
                y + 19,
                step.name
            ),
        );
        line(
            &mut text,
            &format!(
                "<text x=\"{0}\" y=\"{1}\" text-anchor=\"middle\" fill=\"#555\">{2}</text>",
                x + 75,
                y + 36,
                step.kind
            ),
        );
    }
    text.push_str("</svg>\n");
    text
}

fn fill(state: State) -> &'static str {
    if state == State::Fresh { "#d7f0dc" } else { "#fdebc8" }
}

fn id(name: &str) -> String {
    name.replace('-', "__")
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
