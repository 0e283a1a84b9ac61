//! Tests: of the pure part by tables, of the rest in network namespaces of their own.

mod asking;
mod devices;
mod reading;
mod resolving;
mod routes;
mod watching;
mod world;
