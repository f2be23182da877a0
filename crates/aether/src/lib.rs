//! An embedded, ACID, multi-index storage engine
