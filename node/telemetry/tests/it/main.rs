//! Telemetry against real files and sockets.

mod access_log;
mod trace;
