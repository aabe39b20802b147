//! Sets Tidegate up through its control plane, signed as any AWS client signs, and waits until requests are served.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use http::Method;
use serde_json::{Value, json};
use tidegate_cli::{Client, Endpoint};

use crate::peers::{
    gateway::{Door, Route, tidegate},
    limits::{POLL, PROBE, PROVISION},
    load::{MessageReader, Side},
    order::Target,
};

/// What to set up.
pub(crate) struct Provision {
    /// Data plane.
    pub(crate) gateway: SocketAddr,
    /// Control plane.
    pub(crate) endpoint: Endpoint,
    /// The API as OpenAPI.
    pub(crate) document: Value,
    /// Stage to deploy to.
    pub(crate) stage: &'static str,
    /// Routes that the API has.
    pub(crate) routes: &'static [Route],
}

/// Why the API is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    /// The runtime for the client.
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    /// The control plane refused, or never answered.
    #[error("{what}: {reason}")]
    Control {
        /// What was asked.
        what: &'static str,
        /// The answer.
        reason: tidegate_cli::Error,
    },
    /// An answer without what is needed.
    #[error("{0}: the answer has no id")]
    NoId(&'static str),
    /// It was set up, but is not served.
    #[error("{path} was not served within {} s: {seen}", PROVISION.as_secs())]
    NotServed {
        /// Path asked for.
        path: String,
        /// The last answer.
        seen: String,
    },
    /// This build cannot do it.
    #[error("{0} is not supported by this build of Tidegate")]
    Unsupported(&'static str),
}

/// Imports the API, deploys it, waits for it; the ways in.
pub(crate) fn carry_out(provision: &Provision) -> Result<Vec<Door>, ProvisionError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ProvisionError::Runtime)?;
    let api = runtime.block_on(deploy(provision))?;
    let mut doors = tidegate::doors(provision, &api);
    // A build without TLS has no such ways in, and is not measured on them.
    doors.extend(tidegate::tls_doors(provision, &api).unwrap_or_default());
    for route in provision.routes {
        let door = doors.iter().find(|door| door.is(super::Port::Http1, *route));
        door.map_or(Ok(()), |door| await_served(door.target()))?;
    }
    Ok(doors)
}

async fn deploy(provision: &Provision) -> Result<String, ProvisionError> {
    let client = Client::new(provision.endpoint.clone());
    let deadline = Instant::now() + PROVISION;
    // A node that has just started founds its cluster first, and refuses calls until it knows its access key.
    let created: Value = loop {
        let call = client.json(Method::POST, "/restapis?mode=import", &provision.document);
        match call.await {
            Ok(created) => break created,
            Err(reason) if Instant::now() > deadline => {
                return Err(ProvisionError::Control { what: "ImportRestApi", reason });
            }
            Err(_) => tokio::time::sleep(POLL.max(Duration::from_millis(100))).await,
        }
    };
    let api = created["id"].as_str().ok_or(ProvisionError::NoId("ImportRestApi"))?.to_owned();
    let path = format!("/restapis/{api}/deployments");
    let deployed: Result<Value, _> =
        client.json(Method::POST, &path, &json!({ "stageName": provision.stage })).await;
    deployed.map_err(|reason| ProvisionError::Control { what: "CreateDeployment", reason })?;
    Ok(api)
}

fn await_served(target: &Target) -> Result<(), ProvisionError> {
    let deadline = Instant::now() + PROVISION;
    loop {
        let seen = match ask(target) {
            Ok(200) => return Ok(()),
            Ok(status) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            return Err(ProvisionError::NotServed { path: target.path.clone(), seen });
        }
        std::thread::sleep(POLL);
    }
}

/// Status of one request.
fn ask(target: &Target) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&target.address, PROBE)?;
    stream.set_read_timeout(Some(PROBE))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.host)?;
    let (mut reader, mut found, mut scratch) = (MessageReader::new(Side::Responses), None, [0; 4096]);
    while found.is_none() {
        let count = stream.read(&mut scratch)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.feed(&scratch[..count], |message| found = Some(message.status)).map_err(io::Error::other)?;
    }
    Ok(found.unwrap_or_default())
}
