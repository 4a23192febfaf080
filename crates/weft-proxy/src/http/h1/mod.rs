//! HTTP/1 (placeholder of the types until the codec is merged).

pub(crate) mod client;

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::{Broken, Frame};
use crate::io::Io;

pub(crate) struct Source(Infallible);

impl Source {
    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        match self.0 {}
    }

    pub(crate) fn is_end(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn length(&self) -> Option<u64> {
        match self.0 {}
    }
}

pub(crate) struct Sink(Infallible);

impl Sink {
    pub(crate) async fn informational(&mut self, _: Response<()>) -> Result<(), Broken> {
        match self.0 {}
    }

    pub(crate) async fn respond(self, _: Response<()>, _: bool) -> Result<Outgoing, Broken> {
        match self.0 {}
    }

    pub(crate) fn queue(self, _: Response<()>, _: bool) -> Result<Outgoing, Broken> {
        match self.0 {}
    }

    pub(crate) async fn upgrade(self, _: Response<()>) -> Result<Io, Broken> {
        match self.0 {}
    }

    pub(crate) async fn closed(&mut self) -> Broken {
        match self.0 {}
    }
}

pub(crate) struct Outgoing(Infallible);

impl Outgoing {
    pub(crate) async fn data(&mut self, _: Bytes) -> Result<(), Broken> {
        match self.0 {}
    }

    pub(crate) async fn last(self, _: Bytes) -> Result<(), Broken> {
        match self.0 {}
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        match self.0 {}
    }

    pub(crate) async fn trailers(self, _: HeaderMap) -> Result<(), Broken> {
        match self.0 {}
    }

    pub(crate) async fn finish(self) -> Result<(), Broken> {
        match self.0 {}
    }

    pub(crate) fn abort(self) {
        match self.0 {}
    }

    pub(crate) async fn closed(&mut self) -> Broken {
        match self.0 {}
    }
}
