//! The upstreams of a node where it has none to tell of; who has is behind a seam.

use tidegate_proto::status;

use crate::store::Upstreams;

/// No upstreams.
#[derive(Debug)]
pub(crate) struct NoUpstreams;

impl Upstreams for NoUpstreams {
    fn list(&self) -> status::Upstreams {
        status::Upstreams::default()
    }
}
