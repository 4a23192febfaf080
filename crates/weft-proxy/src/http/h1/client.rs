//! HTTP/1 towards a server (placeholder of the types until the codec is merged).

use std::convert::Infallible;

use http::Request;

use super::Outgoing;
use crate::http::{Broken, NotSent, Reply};

pub(crate) struct Connection(Infallible);

impl Connection {
    pub(crate) async fn send(self, _: Request<()>, _: bool) -> Result<(Outgoing, Pending), NotSent> {
        match self.0 {}
    }
}

pub(crate) struct Pending(Infallible);

impl Pending {
    pub(crate) async fn next(&mut self) -> Result<Reply, Broken> {
        match self.0 {}
    }
}
