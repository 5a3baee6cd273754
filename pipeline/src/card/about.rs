//! What the user says of a data set.

/// What a manifest does not say, and the user does.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The title of the data set.
    pub(crate) title: String,
    /// One sentence about the data.
    pub(crate) description: Option<String>,
    /// The licence, as the hub names it.
    pub(crate) license: Option<String>,
    /// Where the data set will be.
    pub(crate) url: Option<String>,
    /// Who made it.
    pub(crate) creator: Option<String>,
    /// The codes of the languages.
    pub(crate) languages: Vec<String>,
    /// The day of publication.
    pub(crate) published: Option<String>,
}
