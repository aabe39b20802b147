//! The query-protocol services on the control port: as much of STS as tools need to learn who they are. Owns that XML; must never
//! issue credentials.

use tidegate_iam::sigv4::{Dialect, Refusal};

use crate::{auth::Caller, query::Query};

const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// A document with its status.
pub(crate) type Document = (u16, String);

/// Answers a call of a proven caller.
pub(crate) fn answer(service: &str, caller: &Caller, parameters: &Query, request_id: &str) -> Document {
    let action = parameters.get("Action").unwrap_or_default();
    match (service, action) {
        ("sts", "GetCallerIdentity") => (200, identity(caller, request_id)),
        (_, "") => {
            let message = "Missing required parameter Action";
            error(service, 400, "MissingAction", message, request_id)
        }
        (_, action) => {
            let version = parameters.get("Version").unwrap_or("NO_VERSION_SPECIFIED");
            let message = format!("Could not find operation {action} for version {version}");
            error(service, 400, "InvalidAction", &message, request_id)
        }
    }
}

/// A refused signature in the query protocol.
pub(crate) fn refusal(service: &str, refusal: &Refusal, request_id: &str) -> Document {
    let dialect = Dialect::Query;
    error(service, refusal.status(dialect), refusal.code(dialect), &refusal.message(dialect), request_id)
}

/// An error document.
pub(crate) fn error(service: &str, status: u16, code: &str, message: &str, request_id: &str) -> Document {
    let fault = if status < 500 { "Sender" } else { "Receiver" };
    let body = format!(
        "<ErrorResponse xmlns=\"{}\">\n  <Error>\n    <Type>{fault}</Type>\n    <Code>{code}</Code>\n    <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
        namespace(service),
        escape(message)
    );
    (status, body)
}

fn identity(caller: &Caller, request_id: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"{STS_NAMESPACE}\">\n  <GetCallerIdentityResult>\n    <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{}</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n",
        escape(&caller.arn),
        escape(&caller.user_id),
        escape(&caller.account)
    )
}

fn namespace(service: &str) -> &'static str {
    if service == "iam" { IAM_NAMESPACE } else { STS_NAMESPACE }
}

/// Text content of an XML element; control characters that XML cannot hold become blanks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
