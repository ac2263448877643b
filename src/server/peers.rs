//! How many connections each peer has: no address keeps the others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::inbound::StreamPlaces;

/// Who counts as one peer: an address, or the network of 64 bits that an IPv6
/// host may choose its address from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        const NETWORK: u128 = u128::MAX << 64;
        // A socket that takes both shows IPv4 as a part of IPv6.
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
            address => address,
        })
    }
}

/// Counts connections by peer; a clone counts the same.
///
/// It remembers those that have a connection, and so no more than may be open.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    most: Most,
    open: Arc<Mutex<HashMap<Peer, Usage>>>,
}

/// What each peer may have at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) connections: usize,
    pub(super) handshakes: usize,
}

/// What a peer has.
#[derive(Debug)]
struct Usage {
    connections: usize,
    handshakes: Arc<Semaphore>,
    streams: StreamPlaces,
}

impl Peers {
    pub(super) fn new(most: Most) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts one more connection from `address`, unless there are too many.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let peer = Peer::from(address);
        let mut open = self.open();
        let usage = open.entry(peer).or_insert_with(|| Usage {
            connections: 0,
            handshakes: Arc::new(Semaphore::new(self.most.handshakes)),
            streams: StreamPlaces::default(),
        });
        if usage.connections >= self.most.connections {
            return None;
        }
        usage.connections += 1;
        Some(Admitted {
            peer,
            handshakes: Arc::clone(&usage.handshakes),
            streams: usage.streams.clone(),
            peers: self.clone(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Peer, Usage>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    peer: Peer,
    handshakes: Arc<Semaphore>,
    streams: StreamPlaces,
    peers: Peers,
}

impl Admitted {
    /// One permit a handshake that the peer may be in.
    pub(super) fn handshakes(&self) -> &Semaphore {
        &self.handshakes
    }

    /// The places for streams that ask for no proof.
    pub(super) fn streams(&self) -> &StreamPlaces {
        &self.streams
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.peers.open();
        if let Some(usage) = open.get_mut(&self.peer) {
            usage.connections -= 1;
            if usage.connections == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(connections: usize) -> Peers {
        Peers::new(Most {
            connections,
            handshakes: 1,
        })
    }

    fn admit(peers: &Peers, address: &str) -> Option<Admitted> {
        peers.admit(address.parse().unwrap())
    }

    #[test]
    fn a_peer_has_so_many_connections_and_others_have_theirs() {
        let peers = peers(2);
        let _first = admit(&peers, "192.0.2.1").unwrap();
        let second = admit(&peers, "192.0.2.1").unwrap();
        assert!(admit(&peers, "192.0.2.1").is_none());
        let _other = admit(&peers, "192.0.2.2").unwrap();
        drop(second);
        assert!(admit(&peers, "192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_ipv4_is_the_same_in_either_form() {
        let peers = peers(1);
        let _one = admit(&peers, "2001:db8:0:1::1").unwrap();
        assert!(admit(&peers, "2001:db8:0:1:ffff::2").is_none());
        let _two = admit(&peers, "2001:db8:0:2::1").unwrap();
        let _four = admit(&peers, "::ffff:192.0.2.1").unwrap();
        assert!(admit(&peers, "192.0.2.1").is_none());
        assert!(admit(&peers, "::ffff:192.0.2.2").is_some());
    }

    #[test]
    fn loopback_counts_too() {
        let peers = peers(1);
        let _one = admit(&peers, "127.0.0.1").unwrap();
        assert!(admit(&peers, "127.0.0.1").is_none());
    }

    #[test]
    fn the_handshakes_of_one_peer_are_bounded_together_and_apart_from_others() {
        let peers = peers(2);
        let first = admit(&peers, "192.0.2.1").unwrap();
        let second = admit(&peers, "192.0.2.1").unwrap();
        let other = admit(&peers, "192.0.2.2").unwrap();
        let _under_way = first.handshakes().try_acquire().unwrap();
        assert!(second.handshakes().try_acquire().is_err());
        assert!(other.handshakes().try_acquire().is_ok());
    }

    #[test]
    fn who_has_no_connection_left_is_forgotten() {
        let peers = peers(1);
        drop(admit(&peers, "192.0.2.1"));
        assert!(peers.open().is_empty());
    }
}
