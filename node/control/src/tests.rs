//! The whole control plane over a store in memory: every test speaks signed HTTP, as a client does.

mod account;
mod auth;
mod cache;
mod certificate;
mod cluster;
mod deployment;
mod hostile;
mod import;
mod integration;
mod keys;
mod keys_import;
mod links;
mod method;
mod model;
mod plan_keys;
mod plans;
mod races;
mod resource;
mod rest_api;
mod rig;
mod socket;
mod stage_settings;
mod store;
mod tags;
mod usage;
