//! A small proxy made of Pingora's crates, to measure against: `pingora-peer LISTEN ORIGIN BODY-FILE`.
//!
//! Passes everything to the origin, answers `/fixed` by itself, and counts `/limited` per API key.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::{
    apps::HttpServerOptions,
    http::{RequestHeader, ResponseHeader},
    prelude::*,
    server::configuration::ServerConf,
};
use pingora_limits::rate::Rate;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Never reached: the limiter works, but refuses nobody.
const REQUESTS_PER_SECOND_MAX: isize = 1_000_000;

struct Proxy {
    origin: HttpPeer,
    body: Bytes,
    rate: Rate,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        match session.req_header().uri.path() {
            "/fixed" => {
                let mut head = ResponseHeader::build(200, Some(2))?;
                head.insert_header("content-type", "application/json")?;
                head.insert_header("content-length", self.body.len().to_string())?;
                session.write_response_header(Box::new(head), false).await?;
                session.write_response_body(Some(self.body.clone()), true).await?;
                Ok(true)
            }
            "/limited" => {
                let key =
                    session.req_header().headers.get("x-api-key").map_or(&b""[..], |key| key.as_bytes());
                if self.rate.observe(&key, 1) <= REQUESTS_PER_SECOND_MAX {
                    return Ok(false);
                }
                session.respond_error(429).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.origin.clone()))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut (),
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("x-forwarded-for", client.ip().to_string())?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => {
            println!("pingora 0.9.1");
            ExitCode::SUCCESS
        }
        [listen, origin, body] => match std::fs::read(PathBuf::from(body)) {
            Ok(body) => serve(listen, origin, body.into()),
            Err(error) => {
                eprintln!("{body}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: pingora-peer LISTEN ORIGIN BODY-FILE");
            ExitCode::from(2)
        }
    }
}

fn serve(listen: &str, origin: &str, body: Bytes) -> ! {
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let origin = HttpPeer::new(origin, false, String::new());
    let proxy = Proxy { origin, body, rate: Rate::new(Duration::from_secs(1)) };
    let mut service = http_proxy_service(&server.configuration, proxy);
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    if let Some(logic) = service.app_logic_mut() {
        logic.server_options = Some(options);
    }
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever()
}
