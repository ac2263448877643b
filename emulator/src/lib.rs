//! Emulates Amazon Rekognition Face Liveness over HTTP.
