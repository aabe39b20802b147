//! One signed request, one answer.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tidegate_iam::sigv4::{Credential, RequestView, SignOptions, payload_sha256_hex, sign};
use tokio::{net::TcpStream, time::timeout};

use crate::Endpoint;

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Header of an answer that was read without a quorum's word that it is current.
const STALE: &str = "x-tidegate-stale";
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why a client verb failed; every text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing.
    #[error("{name} is not set and {} does not exist; start `tidegate dev`, or set {name}", path.display())]
    Unconfigured {
        /// Environment variable.
        name: &'static str,
        /// Where a development region would have left it.
        path: PathBuf,
    },
    /// The URL cannot be used.
    #[error("endpoint URL {url}: {rule}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        rule: &'static str,
    },
    /// Nobody answered.
    #[error("cannot reach {url}: {reason}; is a node running there?")]
    Unreachable {
        /// As given.
        url: String,
        /// From the operating system or the protocol.
        reason: String,
    },
    /// The server said no.
    #[error("{status}: {message}")]
    Answer {
        /// HTTP status.
        status: StatusCode,
        /// The server's own words.
        message: String,
    },
    /// The answer was not what this version expects.
    #[error("the answer is not understood: {0}; do client and server have the same version?")]
    Unexpected(String),
    /// `--watch` cannot redraw.
    #[error("--watch redraws a table on a terminal; leave it out, or leave -o json and the redirection out")]
    Watch,
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(std::io::Error),
    /// A local file.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// From the operating system.
        reason: std::io::Error,
    },
}

/// What was read, and whether it may be old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The body of the answer.
    pub body: Bytes,
    /// The node could not ask the cluster whether this is the newest: it has no contact to a quorum.
    pub is_stale: bool,
}

/// Signs and sends requests to one endpoint.
pub struct Client {
    endpoint: Endpoint,
}

impl Client {
    /// A client for one endpoint; connects on each call.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Sends a request whose target is `path` (with an optional query) and returns the body of a 2xx answer.
    pub async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, Error> {
        self.answered(method, path, body).await.map(|reading| reading.body)
    }

    /// A GET that tells whether the node vouches for what it says.
    pub async fn read(&self, path: &str) -> Result<Reading, Error> {
        self.answered(Method::GET, path, Vec::new()).await
    }

    async fn answered(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Reading, Error> {
        match timeout(CALL_TIMEOUT, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
        }
    }

    /// As [`Client::call`], for a JSON answer.
    pub async fn json<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.call(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|e| Error::Unexpected(e.to_string()))
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Reading, Error> {
        let bad = |rule| Error::Url { url: self.endpoint.url.clone(), rule };
        let uri: Uri = self.endpoint.url.parse().map_err(|_| bad("is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad("must start with http://"));
        }
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?.clone();
        let address =
            (authority.host().trim_matches(['[', ']']).to_owned(), authority.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await.map_err(|e| self.unreachable(&e.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.unreachable(&e.to_string()))?;
        let driver = tokio::spawn(connection);
        let request = self.signed(method, path, authority.as_str(), body)?;
        let answer = sender.send_request(request).await.map_err(|e| self.unreachable(&e.to_string()))?;
        let (status, is_stale) = (answer.status(), answer.headers().contains_key(STALE));
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        driver.abort();
        let body = body.map_err(|e| self.unreachable(&e.to_string()))?.to_bytes();
        match status.is_success() {
            true => Ok(Reading { body, is_stale }),
            false => Err(Error::Answer { status, message: message(&body) }),
        }
    }

    fn signed(
        &self,
        method: Method,
        target: &str,
        host: &str,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let digest = payload_sha256_hex(&body);
        let now_epoch_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        let headers: [(&str, &[u8]); 1] = [("host", host.as_bytes())];
        let view = RequestView { method: method.as_str(), path, query, headers: &headers };
        let credential = Credential {
            access_key_id: &self.endpoint.access_key_id,
            secret_access_key: &self.endpoint.secret_access_key,
            session_token: None,
        };
        let options = SignOptions::new(&self.endpoint.region, "apigateway", now_epoch_s, &digest);
        let mut request = Request::builder().method(method.clone()).uri(target).header("host", host);
        for (name, value) in sign(&view, &credential, &options) {
            request = request.header(name, value);
        }
        request.body(Full::new(Bytes::from(body))).map_err(|e| Error::Unexpected(e.to_string()))
    }

    fn unreachable(&self, reason: &str) -> Error {
        Error::Unreachable { url: self.endpoint.url.clone(), reason: reason.to_owned() }
    }
}

/// AWS bodies carry `message`, problem+json carries `detail`; anything else is shown as it came.
fn message(body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    ["message", "Message", "detail", "title"]
        .iter()
        .find_map(|field| json.get(field)?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
