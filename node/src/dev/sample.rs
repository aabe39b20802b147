//! The sample API: imported from OpenAPI, deployed, pointed at the sample upstream.

use std::{collections::BTreeSet, net::SocketAddr};

use http::Method;
use serde_json::{Value, json};
use tidegate_cli::{Client, Error};
use tidegate_proto::dev::DevSample;

const DOCUMENT: &str = include_str!("sample.yaml");
/// The document's title.
const NAME: &str = "PetStore";
const STAGE: &str = "dev";

/// The import of the sample, which can be attempted again after one that nobody has confirmed.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// Ids of the APIs that had the sample's name before the first attempt: those are somebody else's.
    others: Option<BTreeSet<String>>,
}

impl Import {
    /// Imports and deploys the sample, or what is missing of both; returns where it answers behind `gateway`.
    pub(crate) async fn attempt(
        &mut self,
        client: &Client,
        gateway: &str,
        upstream: SocketAddr,
    ) -> Result<DevSample, Error> {
        let named = named(client).await?;
        let found = match &self.others {
            Some(others) => named.difference(others).next().cloned(),
            None => None,
        };
        self.others.get_or_insert(named);
        let id = match found {
            Some(id) => id,
            None => import(client).await?,
        };
        let deployment = json!({ "stageName": STAGE, "variables": { "upstream": upstream.to_string() } });
        let _: Value = client.json(Method::POST, &format!("/restapis/{id}/deployments"), &deployment).await?;
        Ok(DevSample {
            url: format!("{gateway}/_aws/execute-api/{id}/{STAGE}/pets"),
            api_id: id,
            stage: STAGE.into(),
        })
    }
}

/// The ids of the APIs with the sample's name.
async fn named(client: &Client) -> Result<BTreeSet<String>, Error> {
    let apis: Value = client.json(Method::GET, "/restapis?limit=500", &Value::Null).await?;
    let items = apis["item"].as_array().into_iter().flatten();
    items.filter(|api| api["name"] == NAME).map(id_of).collect()
}

async fn import(client: &Client) -> Result<String, Error> {
    let body =
        client.call(Method::POST, "/restapis?mode=import&failonwarnings=true", DOCUMENT.into()).await?;
    id_of(&serde_json::from_slice(&body).map_err(|e| Error::Unexpected(e.to_string()))?)
}

fn id_of(api: &Value) -> Result<String, Error> {
    let id = api["id"].as_str().ok_or_else(|| Error::Unexpected("an API without an id".into()))?;
    Ok(id.to_owned())
}

/// Points the sample at this run's upstream, whose port may differ from the last run's.
pub(crate) async fn repoint(client: &Client, sample: &DevSample, upstream: SocketAddr) -> Result<(), Error> {
    let patch = json!({ "patchOperations": [{ "op": "replace", "path": "/variables/upstream", "value": upstream.to_string() }] });
    let path = format!("/restapis/{}/stages/{}", sample.api_id, sample.stage);
    client.json::<Value>(Method::PATCH, &path, &patch).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::Full;
    use hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tidegate_cli::Endpoint;
    use tokio::net::TcpListener;

    use super::*;

    /// A control plane that makes the first import and does not confirm it.
    #[derive(Default)]
    struct Forgetful {
        apis: Vec<Value>,
        deployed: Vec<String>,
    }

    impl Forgetful {
        fn answer(&mut self, request: &Request<Incoming>) -> (StatusCode, Value) {
            match (request.method().as_str(), request.uri().path()) {
                ("GET", "/restapis") => (StatusCode::OK, json!({ "item": self.apis })),
                ("POST", "/restapis") => {
                    self.apis.push(json!({ "id": format!("a{}", self.apis.len()), "name": NAME }));
                    (StatusCode::SERVICE_UNAVAILABLE, json!({ "message": "unknown" }))
                }
                (_, path) => {
                    self.deployed.push(path.into());
                    (StatusCode::CREATED, json!({}))
                }
            }
        }
    }

    async fn serve(state: Arc<Mutex<Forgetful>>) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                let answer = move |request: Request<Incoming>| {
                    let (status, body) = state.lock().unwrap().answer(&request);
                    let body = Full::new(Bytes::from(body.to_string()));
                    std::future::ready(Ok::<_, Infallible>(
                        Response::builder().status(status).body(body).unwrap(),
                    ))
                };
                tokio::spawn(
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
                );
            }
        });
        Client::new(Endpoint {
            url,
            region: "r".into(),
            access_key_id: "k".into(),
            secret_access_key: "s".into(),
        })
    }

    #[tokio::test]
    async fn an_import_that_nobody_confirmed_is_found_again() {
        let state = Arc::new(Mutex::new(Forgetful::default()));
        state.lock().unwrap().apis.push(json!({ "id": "theirs", "name": NAME }));
        let client = serve(state.clone()).await;
        let (mut import, upstream) = (Import::default(), ([127, 0, 0, 1], 1).into());
        assert!(import.attempt(&client, "http://g", upstream).await.is_err());
        let sample = import.attempt(&client, "http://g", upstream).await.unwrap();
        assert_eq!(sample.api_id, "a1");
        let state = state.lock().unwrap();
        assert_eq!((state.apis.len(), &*state.deployed), (2, &["/restapis/a1/deployments".to_owned()][..]));
    }

    #[test]
    fn the_name_is_the_documents_title() {
        assert!(DOCUMENT.contains(&format!("\n  title: {NAME}\n")));
    }
}
