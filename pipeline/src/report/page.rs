//! A page of HTML: a template, the style, and the script that sorts tables.
//!
//! All plots are computed before, so a page works without scripts. The templates escape all text. The
//! content security policy of the pages forbids other scripts and loads nothing.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// Which page is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// That about an artifact.
    Artifact,
    /// That which compares models.
    Comparison,
}

/// What the templates use, by the names by which they import it.
const TEMPLATES: [(&str, &str); 4] = [
    ("artifact.html", include_str!("artifact.html")),
    ("comparison.html", include_str!("comparison.html")),
    ("frame.html", include_str!("frame.html")),
    ("parts.html", include_str!("parts.html")),
];

#[derive(Serialize)]
struct Page<'a, T> {
    #[serde(flatten)]
    content: &'a T,
    nonce: &'a str,
    style: &'static str,
    script: &'static str,
}

/// Writes a page.
pub(super) fn render<T: Serialize>(template: Template, content: &T) -> Result<String, Failure> {
    let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).map_err(|wrong| failed(&wrong))?;
    }
    let json = serde_json::to_vec(content).map_err(|wrong| failed(&wrong))?;
    // The nonce depends on all texts of the page, so no text can contain it and act as a script.
    let nonce = blake3::hash(&json).to_hex();
    let name = match template {
        Template::Artifact => "artifact.html",
        Template::Comparison => "comparison.html",
    };
    let template = environment.get_template(name).map_err(|wrong| failed(&wrong))?;
    let page = Page {
        content,
        nonce: &nonce[..32],
        style: include_str!("style.css"),
        script: include_str!("sort.js"),
    };
    template.render(Serde(page)).map_err(|wrong| failed(&wrong))
}
