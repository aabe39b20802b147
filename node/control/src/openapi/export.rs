//! x
use tidegate_proto::document::*; use super::*;
pub(crate) fn export(_: &ApiDefinition, _: &Stage, _: &ExportOptions) -> Result<Vec<u8>, ExportError> { Ok(Vec::new()) }
