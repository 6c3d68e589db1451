//! What is admitted, warned of and refused, and what is asked for it.

mod changes;
mod room;
mod tags;
mod verdicts;

use evidence::Digest;

use crate::world::World;

const APP: &str = "registry.example.com/shop/app:v1";

fn digest(manifest: &str) -> Digest {
    Digest::sha256(manifest.as_bytes())
}

/// An image pushed and signed; its pinned name.
fn signed(world: &World) -> String {
    world.sign("app", "app");
    world.push(APP, "app")
}
