//! Conversations of a task: their columns, the template that writes them, and what is trained on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::date::Date;
use super::loss::{LossOn, LossWithout};

/// A column of conversations and the template that writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// The column with a list of `{role, content}`.
    #[serde(default = "default_messages")]
    pub messages: String,
    /// The column with the tools that the template may show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<String>,
    /// The Jinja template; without one, that of the tokenizer's `tokenizer_config.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What the template is told by `strftime_now`; no clock is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// Whose turns are trained on; without it, all turns of the assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_on: Option<LossOn>,
    /// The parts of these turns that are not trained on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loss_without: Vec<LossWithout>,
}

fn default_messages() -> String {
    "messages".into()
}

impl Default for Chat {
    fn default() -> Self {
        let (tools, template, date, loss_on) = (None, None, None, None);
        let (messages, loss_without) = (default_messages(), Vec::new());
        Self { messages, tools, template, date, loss_on, loss_without }
    }
}
