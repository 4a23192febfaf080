//! What the control plane is asked for each kind of key, and how its answers become what is published.

use std::future::Future;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use weft_core::model::{Endpoints, InboundPolicy, OutboundPolicy, ProtocolHint};
use weft_core::profile::Profile;

use super::table::Live;
use super::{Asked, Destination, Discovery};
use crate::control::channels::Channels;
use crate::control::convert;
use crate::control::stream::{self, Event, Patience};
use crate::r#gen::destination::{DestinationProfile, GetDestination, Update, destination_client::DestinationClient};
use crate::r#gen::inbound::{PortSpec, Server, inbound_server_policies_client::InboundServerPoliciesClient};
use crate::r#gen::outbound::{OutboundPolicy as WirePolicy, TrafficSpec, outbound_policies_client::OutboundPoliciesClient, traffic_spec};

/// Large endpoint sets come in one message.
const MESSAGE_LIMIT: usize = 16 << 20;

pub(super) struct Questions {
    destination: Channels,
    policy: Channels,
    workload: String,
    context: String,
    patience: Patience,
}

impl Questions {
    pub(super) fn new(asked: Asked) -> Self {
        Questions {
            destination: asked.destination,
            policy: asked.policy,
            workload: asked.workload,
            context: asked.context,
            patience: asked.patience,
        }
    }

    /// Policy and profile of one target, combined: it is published when both have been answered, or the profile alone settles it.
    pub(super) fn outbound(
        &self,
        dst: Destination,
        publish: watch::Sender<Option<Arc<Discovery>>>,
        live: Live,
    ) -> impl Future<Output = ()> + Send + 'static {
        let policies = self.policy_events(&dst);
        let profiles = self.profile_events(&dst);
        async move {
            let mut policies = std::pin::pin!(policies);
            let mut profiles = std::pin::pin!(profiles);
            let mut known = Known::default();
            loop {
                let changed = tokio::select! {
                    Some(event) = policies.next() => known.policy(&dst, event, &live),
                    Some(event) = profiles.next() => known.profile(&dst, event, &live),
                    else => return,
                };
                if let Some(discovery) = changed.then(|| known.combined(&dst)).flatten() {
                    publish.send_replace(Some(Arc::new(discovery)));
                }
            }
        }
    }

    /// The endpoints of one path. Where the control plane has no answer there are none.
    pub(super) fn endpoints(
        &self,
        path: Arc<str>,
        publish: watch::Sender<Option<Arc<Endpoints>>>,
        live: Live,
    ) -> impl Future<Output = ()> + Send + 'static {
        let updates = self.endpoint_events(path.to_string());
        async move {
            let mut updates = std::pin::pin!(updates);
            let mut known = Arc::new(Endpoints::default());
            while let Some(event) = updates.next().await {
                live.set(!matches!(event, Event::Lost(_)));
                known = match event {
                    Event::Whole(update) => convert::applied(&Endpoints::default(), &update).into(),
                    Event::Change(update) => convert::applied(&known, &update).into(),
                    Event::Nothing(status) => {
                        tracing::debug!(%path, %status, "no endpoints");
                        Arc::default()
                    }
                    Event::Lost(status) => {
                        tracing::debug!(%path, %status, "endpoints are not updated");
                        continue;
                    }
                };
                publish.send_replace(Some(known.clone()));
            }
        }
    }

    /// The policy of one port. Where the control plane has no answer the default holds.
    pub(super) fn inbound(
        &self,
        port: u16,
        default: Arc<InboundPolicy>,
        publish: watch::Sender<Arc<InboundPolicy>>,
        live: Live,
    ) -> impl Future<Output = ()> + Send + 'static {
        let servers = self.server_events(port);
        async move {
            let mut servers = std::pin::pin!(servers);
            while let Some(event) = servers.next().await {
                live.set(!matches!(event, Event::Lost(_)));
                let policy = match event {
                    Event::Whole(server) | Event::Change(server) => match convert::inbound(&server) {
                        Ok(policy) => policy.into(),
                        Err(error) => {
                            tracing::warn!(port, %error, "the policy of a port is invalid; nobody is let in");
                            convert::invalid_inbound().into()
                        }
                    },
                    Event::Nothing(status) => {
                        tracing::debug!(port, %status, "no policy; the default holds");
                        default.clone()
                    }
                    Event::Lost(status) => {
                        tracing::debug!(port, %status, "the policy of a port is not updated");
                        continue;
                    }
                };
                publish.send_replace(policy);
            }
        }
    }

    fn policy_events(&self, dst: &Destination) -> impl Stream<Item = Event<WirePolicy>> + Send + use<> + 'static {
        let target = match dst {
            Destination::Address(addr) => traffic_spec::Target::Addr(convert::tcp_address(*addr)),
            Destination::Name(name) => traffic_spec::Target::Authority(name.to_string()),
        };
        let spec = TrafficSpec { source_workload: self.workload.clone(), target: Some(target) };
        let place = self.policy.place();
        stream::watch(
            move || {
                let mut client = OutboundPoliciesClient::new(place.channel()).max_decoding_message_size(MESSAGE_LIMIT);
                let spec = spec.clone();
                async move { Ok(client.watch(spec).await?.into_inner()) }
            },
            self.patience,
        )
    }

    fn profile_events(&self, dst: &Destination) -> impl Stream<Item = Event<DestinationProfile>> + Send + use<> + 'static {
        let asked = self.destination_question(dst.to_string());
        let place = self.destination.place();
        stream::watch(
            move || {
                let mut client = DestinationClient::new(place.channel()).max_decoding_message_size(MESSAGE_LIMIT);
                let asked = asked.clone();
                async move { Ok(client.get_profile(asked).await?.into_inner()) }
            },
            self.patience,
        )
    }

    fn endpoint_events(&self, path: String) -> impl Stream<Item = Event<Update>> + Send + 'static {
        let asked = self.destination_question(path);
        let place = self.destination.place();
        stream::watch(
            move || {
                let mut client = DestinationClient::new(place.channel()).max_decoding_message_size(MESSAGE_LIMIT);
                let asked = asked.clone();
                async move { Ok(client.get(asked).await?.into_inner()) }
            },
            self.patience,
        )
    }

    fn server_events(&self, port: u16) -> impl Stream<Item = Event<Server>> + Send + 'static {
        let spec = PortSpec { workload: self.workload.clone(), port: port.into() };
        let place = self.policy.place();
        stream::watch(
            move || {
                let mut client = InboundServerPoliciesClient::new(place.channel()).max_decoding_message_size(MESSAGE_LIMIT);
                let spec = spec.clone();
                async move { Ok(client.watch_port(spec).await?.into_inner()) }
            },
            self.patience,
        )
    }

    fn destination_question(&self, path: String) -> GetDestination {
        GetDestination { scheme: String::new(), path, context_token: self.context.clone() }
    }
}

/// The two answers about one target; `None`: not answered yet, `Some(None)`: nothing is known.
#[derive(Default)]
struct Known {
    policy: Option<Option<Arc<OutboundPolicy>>>,
    profile: Option<Option<Profile>>,
    policy_lost: bool,
    profile_lost: bool,
}

impl Known {
    /// Takes in an event; whether anything was learnt.
    fn policy(&mut self, dst: &Destination, event: Event<WirePolicy>, live: &Live) -> bool {
        self.policy_lost = matches!(event, Event::Lost(_));
        live.set(!self.policy_lost && !self.profile_lost);
        self.policy = Some(match event {
            Event::Whole(policy) | Event::Change(policy) => Some(Arc::new(convert::outbound(&policy).unwrap_or_else(|error| {
                tracing::warn!(%dst, %error, "the policy of a destination is invalid; requests are answered with 500");
                convert::invalid_outbound(&error)
            }))),
            Event::Nothing(status) => {
                tracing::debug!(%dst, %status, "no outbound policy");
                None
            }
            Event::Lost(status) => {
                tracing::debug!(%dst, %status, "the policy of a destination is not updated");
                return false;
            }
        });
        true
    }

    fn profile(&mut self, dst: &Destination, event: Event<DestinationProfile>, live: &Live) -> bool {
        self.profile_lost = matches!(event, Event::Lost(_));
        live.set(!self.policy_lost && !self.profile_lost);
        self.profile = Some(match event {
            Event::Whole(profile) | Event::Change(profile) => match convert::profile(&profile) {
                Ok(profile) => Some(profile),
                Err(error) => {
                    tracing::warn!(%dst, %error, "the profile of a destination is invalid and not used");
                    None
                }
            },
            Event::Nothing(status) => {
                tracing::debug!(%dst, %status, "no profile");
                None
            }
            Event::Lost(status) => {
                tracing::debug!(%dst, %status, "the profile of a destination is not updated");
                return false;
            }
        });
        true
    }

    fn combined(&self, dst: &Destination) -> Option<Discovery> {
        let profile = self.profile.as_ref()?;
        if let Some(Profile { endpoint: Some(endpoint), opaque, .. }) = profile {
            let opaque = *opaque || endpoint.protocol == ProtocolHint::Opaque;
            return Some(Discovery::Endpoint { endpoint: endpoint.clone(), opaque });
        }
        let policy = self.policy.as_ref()?;
        if let Some(profile) = profile
            && profile.decides()
        {
            return Some(Discovery::Policy(Arc::new(profile.over(policy.as_deref(), dst.port()))));
        }
        Some(match policy {
            Some(policy) => Discovery::Policy(policy.clone()),
            None => Discovery::Unknown,
        })
    }
}
