//! The services on the gRPC port. One can be added only together with its
//! descriptors, so that reflection never misses one.

use std::convert::Infallible;

use axum::response::IntoResponse;
use http::Request;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{LayerExt as _, Routes, RoutesBuilder};
use tonic_reflection::server::{Builder, Error};
use tower::Service;

use crate::gateway::MAX_MESSAGE_BYTES;
use crate::inbound::{EndOnDrainLayer, IdentityLayer, Methods, StreamLimitLayer};

/// A gRPC service as tonic's router takes it.
pub(crate) trait GrpcService:
    Service<Request<Body>, Response: IntoResponse, Error = Infallible, Future: Send>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<Request<Body>, Response: IntoResponse, Error = Infallible, Future: Send>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Collects services with their descriptors.
#[derive(Debug, Default)]
pub(crate) struct Services {
    routes: RoutesBuilder,
    descriptors: Vec<&'static [u8]>,
}

impl Services {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a service; `descriptors` is the encoded `FileDescriptorSet` that
    /// defines it.
    pub(crate) fn add(mut self, service: impl GrpcService, descriptors: &'static [u8]) -> Self {
        self.routes.add_service(service);
        self.descriptors.push(descriptors);
        self
    }

    /// The services without reflection, and the methods that there are.
    ///
    /// # Errors
    /// When a descriptor set cannot be decoded.
    pub(crate) fn without_reflection(self) -> Result<(Routes, Methods), Error> {
        let methods = Methods::of(&self.descriptors)?;
        Ok((self.routes.routes().prepare(), methods))
    }

    /// The services with reflection of all of them: v1, and v1alpha, which is all
    /// that Postman and older tools know. With a `guard` only for those whom it
    /// lets through. Gives the routes, and the methods that there are.
    ///
    /// # Errors
    /// When a descriptor set cannot be decoded.
    pub(crate) fn with_reflection(
        mut self,
        until_drain: &EndOnDrainLayer,
        guard: Option<&IdentityLayer>,
    ) -> Result<(Routes, Methods), Error> {
        self.descriptors
            .push(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
        self.descriptors
            .push(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
        let v1 = self.reflection().build_v1()?;
        let v1 = v1.max_decoding_message_size(MAX_MESSAGE_BYTES);
        let v1alpha = self.reflection().build_v1alpha()?;
        let v1alpha = v1alpha.max_decoding_message_size(MAX_MESSAGE_BYTES);
        let (routes, until, limit) = (&mut self.routes, until_drain, StreamLimitLayer);
        match guard {
            None => {
                routes.add_service(until.named_layer(limit.named_layer(v1)));
                routes.add_service(until.named_layer(limit.named_layer(v1alpha)));
            }
            Some(guard) => {
                let v1 = limit.named_layer(guard.named_layer(v1));
                let v1alpha = limit.named_layer(guard.named_layer(v1alpha));
                routes.add_service(until.named_layer(v1));
                routes.add_service(until.named_layer(v1alpha));
            }
        }
        self.without_reflection()
    }

    fn reflection(&self) -> Builder<'static> {
        let own = Builder::configure()
            .include_reflection_service(false)
            // Lets grpcurl and the like show the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
        self.descriptors.iter().fold(own, |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        })
    }
}
