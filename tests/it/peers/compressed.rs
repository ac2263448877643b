//! Compression is not spoken, so nothing is inflated.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use tonic::Code;

use super::Besieged;
use crate::raw::{framed, refused_by};

#[tokio::test]
async fn a_compressed_bomb_is_unimplemented_and_not_inflated() {
    const LARGE: usize = 64 << 20;
    let mut gateway = Besieged::start("").await;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..LARGE / zeros.len() {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    // As much of it as a message may have.
    let bomb = &bomb[..60 * 1024];
    let mut message = framed(u32::try_from(bomb.len()).unwrap(), bomb).to_vec();
    message[0] = 1;
    let message = Bytes::from(message);
    // All at once: inflated, they would be a gigabyte and more.
    let calls = (0..20).map(|_| {
        let gzip = [("grpc-encoding", "gzip")];
        let (address, message) = (gateway.address, message.clone());
        async move { refused_by(address, &gzip, message).await }
    });
    for status in join_all(calls).await {
        assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    }
    gateway.until_alone().await;
    gateway.stands().await;
}
