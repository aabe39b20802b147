//! Verbs for a running development region: one JSON line each way over `DIR/dev.sock`.

use std::path::Path;

use http::Method;
use serde::{Deserialize, Serialize};
use tidegate_cli::{Client, ClusterCommand, ConnectionArgs, Format};
use tidegate_proto::dev::DevRegion;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};

use super::{DevError, DevVerb};

const LINE_BYTES_MAX: u64 = 4_096;

/// What the supervisor is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Kill the nodes of a zone.
    StopAz { az: String },
    /// Start the nodes of a zone.
    StartAz { az: String },
    /// Forget the sample after a reset.
    ForgetSample,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// Done; a line for people.
    Done(String),
    /// Not done; why.
    Failed(String),
}

/// An order and where its reply goes.
pub(crate) type Asked = (Order, oneshot::Sender<Reply>);

/// Name of the socket in the data directory.
pub(crate) const SOCKET: &str = "dev.sock";

/// Runs a verb against the region in `connection.data`.
pub(crate) async fn run(
    verb: &DevVerb,
    connection: &ConnectionArgs,
    format: Format,
) -> Result<String, DevError> {
    let data = &connection.data;
    match verb {
        DevVerb::StopAz { az } => order(data, &Order::StopAz { az: az.clone() }).await,
        DevVerb::StartAz { az } => order(data, &Order::StartAz { az: az.clone() }).await,
        DevVerb::Status => status(connection, format).await,
        DevVerb::Reset => {
            let client = Client::new(connection.resolve()?);
            client.call(Method::POST, "/_tidegate/dev/reset", Vec::new()).await?;
            order(data, &Order::ForgetSample).await
        }
    }
}

async fn order(data: &Path, order: &Order) -> Result<String, DevError> {
    let absent = |_| DevError::NotRunning(data.to_owned());
    let stream = UnixStream::connect(data.join(SOCKET)).await.map_err(absent)?;
    let (reader, mut writer) = stream.into_split();
    let line = serde_json::to_string(order).unwrap_or_default() + "\n";
    writer.write_all(line.as_bytes()).await.map_err(absent)?;
    let mut answer = String::new();
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut answer).await.map_err(absent)?;
    match serde_json::from_str(&answer) {
        Ok(Reply::Done(text)) => Ok(text),
        Ok(Reply::Failed(reason)) => Err(DevError::Refused(reason)),
        Err(_) => Err(DevError::NotRunning(data.to_owned())),
    }
}

async fn status(connection: &ConnectionArgs, format: Format) -> Result<String, DevError> {
    let path = connection.data.join("dev.json");
    let bytes = std::fs::read(&path).map_err(|_| DevError::NotRunning(connection.data.clone()))?;
    let region: DevRegion =
        serde_json::from_slice(&bytes).map_err(|e| DevError::Refused(format!("{}: {e}", path.display())))?;
    if format == Format::Json {
        return Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned());
    }
    let mut text = String::new();
    for node in &region.nodes {
        let state = if node.pid == 0 { "stopped".to_owned() } else { format!("pid {}", node.pid) };
        text += &format!(
            "{}  node {}  {state:<12}  gateway {}  control {}\n",
            node.name, node.node_id, node.gateway, node.control
        );
    }
    let cluster = ClusterCommand::Status.run(&Client::new(connection.resolve()?), format).await?;
    Ok(text + &cluster)
}

/// Reads orders from the socket and hands them to the supervisor one by one.
pub(crate) async fn listen(listener: UnixListener, orders: mpsc::Sender<Asked>) {
    while let Ok((stream, _)) = listener.accept().await {
        let orders = orders.clone();
        tokio::spawn(async move {
            let (reader, mut writer) = stream.into_split();
            let mut line = String::new();
            if BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut line).await.is_err() {
                return;
            }
            let reply = match serde_json::from_str::<Order>(&line) {
                Ok(order) => {
                    let (sender, receiver) = oneshot::channel();
                    let _ = orders.send((order, sender)).await;
                    receiver.await.unwrap_or_else(|_| Reply::Failed("the region is stopping".into()))
                }
                Err(error) => Reply::Failed(format!("not understood: {error}")),
            };
            let text = serde_json::to_string(&reply).unwrap_or_default() + "\n";
            let _ = writer.write_all(text.as_bytes()).await;
        });
    }
}
