//! The errors of libraries as failures of commands: each gets its exit status.

use ratdata_objects::ObjectError;
use ratdata_schemas::{ArtifactError, ArtifactInputError};
use ratdata_tokenize::hub::HubError;
use ratdata_tokenize::mix::MixError;
use ratdata_tokenize::pack::PackError;

use crate::failure::{Failure, Kind};
use crate::transcode::TranscodeError;

/// Tells why an object store could not be read or written.
pub(crate) fn object_failure(wrong: &ObjectError) -> Failure {
    let kind = match wrong {
        ObjectError::Interrupted => Kind::Interrupted,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// Tells why something could not be had from the hub.
pub(crate) fn hub_failure(wrong: &HubError) -> Failure {
    let kind = match wrong {
        HubError::Interrupted => Kind::Interrupted,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// Tells why artifacts could not be mixed.
pub(crate) fn mix_failure(wrong: &MixError) -> Failure {
    let kind = match wrong {
        MixError::Interrupted => Kind::Interrupted,
        MixError::ArtifactInput(ArtifactInputError::Mismatch { .. }) => Kind::Mismatch,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// Tells why documents could not be packed.
pub(crate) fn pack_failure(wrong: &PackError) -> Failure {
    let kind = match wrong {
        PackError::Interrupted => Kind::Interrupted,
        PackError::ArtifactInput(ArtifactInputError::Mismatch { .. }) => Kind::Mismatch,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// Tells what went wrong on the way from one layout to another.
pub(crate) fn transcode_failure(wrong: &TranscodeError) -> Failure {
    let kind = match wrong {
        TranscodeError::Interrupted => Kind::Interrupted,
        TranscodeError::ArtifactInput(ArtifactInputError::Mismatch { .. }) => Kind::Mismatch,
        TranscodeError::RowsInStreams { .. }
        | TranscodeError::StreamsInRows { .. }
        | TranscodeError::NotPacked { .. }
        | TranscodeError::NoEos { .. }
        | TranscodeError::NoDocuments { .. }
        | TranscodeError::InInput { .. }
        | TranscodeError::Eos { .. }
        | TranscodeError::EosWidth { .. } => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// Tells that the store of a pipeline's results cannot be written.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn store_failure(wrong: ArtifactError) -> Failure {
    // A store is named by another option than a command's folder.
    let hint = wrong.hint().map(|hint| hint.replace("`--out`", "`--store`"));
    Failure::new(Kind::Failed, &wrong).hinted(hint)
}
