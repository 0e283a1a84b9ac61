//! The sockets of a server: each address over UDP and over TCP (RFC 7766).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Identity;
use super::respond::{Transport, respond};
use super::service::bind;

/// How long a TCP connection may rest.
const IDLE: Duration = Duration::from_secs(10);

/// Octets of queries that may wait.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Opens all sockets; the future that it returns answers what arrives at them.
pub(super) fn open(identity: Arc<Identity>) -> Result<impl Future<Output = ()>> {
    let mut sockets = Vec::new();
    for address in &identity.addresses {
        let udp = bind(*address, std::net::UdpSocket::bind)?;
        let tcp = bind(*address, std::net::TcpListener::bind)?;
        // By default it holds a few hundred queries, which come while other threads have the processor.
        setsockopt(&udp, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        sockets.push((UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?));
    }
    Ok(async move {
        let serve = sockets.into_iter().map(|(udp, tcp)| {
            let identity = Arc::clone(&identity);
            async move { tokio::join!(serve_udp(udp, &identity), serve_tcp(tcp, &identity)) }
        });
        join_all(serve).await;
    })
}

async fn serve_udp(socket: UdpSocket, identity: &Identity) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error belongs to one packet (an ICMP error, say), not to the socket.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(response) = respond(identity, &buffer[..length], Transport::Udp) {
            let _ = socket.send_to(&response, client).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, identity: &Arc<Identity>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve_stream(stream, Arc::clone(identity)))),
            // Out of file descriptors: without a pause this would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Answers the queries on one connection, in order, until the client has no more.
async fn serve_stream(mut stream: TcpStream, identity: Arc<Identity>) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut query = vec![0; usize::from(length)];
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        if let Some(response) = respond(&identity, &query, Transport::Tcp) {
            let mut framed = (response.len() as u16).to_be_bytes().to_vec();
            framed.extend(response);
            timeout(IDLE, stream.write_all(&framed)).await??;
        }
    }
}
