//! The whole control plane over a store in memory: every test speaks signed HTTP, as a client does.

mod auth;
mod certificate;
mod cluster;
mod deployment;
mod hostile;
mod import;
mod integration;
mod method;
mod model;
mod resource;
mod rest_api;
mod rig;
mod socket;
mod store;
mod tags;
