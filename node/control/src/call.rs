//! One control call as a pure operation sees it. Owns the bundle of inputs; must never know a socket.

use tidegate_proto::transaction::TransactionV1;
use tidegate_state::State;

use crate::{answer::Answer, error::ApiError, operation::Params, query::Query, stamps::Stamps};

/// Everything an operation may depend on.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The configuration the operation is decided on.
    pub view: &'a State,
    /// Where this control plane stands.
    pub site: &'a Site,
    /// Named parts of the path.
    pub params: &'a Params,
    /// Query parameters.
    pub query: &'a Query,
    /// The raw body.
    pub body: &'a [u8],
    /// The `Accept` header, empty when absent.
    pub accept: &'a str,
    /// Time and ids.
    pub stamps: &'a Stamps,
}

/// Where a control plane stands, for ARNs and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// For example `eu-west-1`.
    pub region: String,
    /// 12-digit account.
    pub account: String,
}

/// What an operation decides: a change (empty for reads) and the answer that holds once it is committed.
pub(crate) type Outcome = Result<(TransactionV1, Answer), ApiError>;

impl Call<'_> {
    /// A path part.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.get(name)
    }

    /// The id of the REST API in the path.
    pub(crate) fn api_id(&self) -> &str {
        self.params.get("restapi_id")
    }
}

/// An outcome that changes nothing.
pub(crate) fn read(answer: Answer) -> Outcome {
    Ok((TransactionV1::default(), answer))
}
