----------------------------- MODULE Snapshots -----------------------------
(* What isolation promises: snapshots, first updater wins, and serializable   *)
(* by backward validation, phantoms and prepared transactions included: T2,   *)
(* T5.  Code: aether-txn (snapshot, serial, publication, prepared),           *)
(* aether-index (write).  Validation and the draw of the timestamp are one    *)
(* step, as they are under the lock of the publication queue; how others see  *)
(* that step is in Publication.tla.                                           *)
(*                                                                            *)
(* The value of a key is its writer; 0 is what stood there at first, also     *)
(* nothing.  A read asks for a set of keys: one, or a range.                  *)
EXTENDS Naturals, FiniteSets
CONSTANTS NumTxns, NumKeys,
          Serializable,    \* those of the transactions; the others have snapshots
          WithPrepare
VARIABLES
  clock, status, snap, ts,
  read,         \* transaction -> key -> whose version it read, or None
  wrote         \* transaction -> keys
vars == <<clock, status, snap, ts, read, wrote>>
Txns == 1..NumTxns
Keys == 1..NumKeys
None == 99
Init ==
  /\ clock = 0 /\ status = [t \in Txns |-> "new"]
  /\ snap = [t \in Txns |-> 0] /\ ts = [t \in Txns |-> 0]
  /\ read = [t \in Txns |-> [k \in Keys |-> None]] /\ wrote = [t \in Txns |-> {}]
Committed == {t \in Txns : status[t] = "committed"}
Prepared == {t \in Txns : status[t] = "prepared"}
ReadSet(t) == {k \in Keys : read[t][k] # None}
WritersOf(k) == {t \in Committed : k \in wrote[t]}
TsOf(t) == IF t = 0 THEN 0 ELSE ts[t]
(* The writer of k that a snapshot shows.                                     *)
Shown(k, at) ==
  LET seen == {t \in WritersOf(k) : ts[t] <= at} \cup {0}
  IN CHOOSE t \in seen : \A u \in seen : TsOf(u) <= TsOf(t)
-----------------------------------------------------------------------------
Begin(t) ==
  /\ status[t] = "new" /\ status' = [status EXCEPT ![t] = "active"] /\ snap' = [snap EXCEPT ![t] = clock]
  /\ UNCHANGED <<clock, ts, read, wrote>>
Read(t, keys) ==
  /\ status[t] = "active" /\ \E k \in keys : read[t][k] = None /\ k \notin wrote[t]
  /\ read' = [read EXCEPT ![t] =
       [k \in Keys |-> IF k \in keys /\ k \notin wrote[t] THEN Shown(k, snap[t]) ELSE read[t][k]]]
  /\ UNCHANGED <<clock, status, snap, ts, wrote>>
(* A writer that meets another's write, under way or newer, has to go.        *)
InTheWay(t, k) == {u \in Txns \ {t} : k \in wrote[u] /\
                     (status[u] \in {"active", "prepared"} \/ (status[u] = "committed" /\ ts[u] > snap[t]))}
Write(t, k) ==
  /\ status[t] = "active" /\ k \notin wrote[t] /\ InTheWay(t, k) = {}
  /\ wrote' = [wrote EXCEPT ![t] = @ \cup {k}]
  /\ UNCHANGED <<clock, status, snap, ts, read>>
(* Nobody has committed since t's snapshot what t has read.                   *)
ReadsHold(t) == \A u \in Committed \ {t} : ts[u] > snap[t] => wrote[u] \cap ReadSet(t) = {}
(* What a prepared transaction has read stands as a lock against others.      *)
PredicatesHold(t) == \A u \in (Prepared \cap Serializable) \ {t} : ReadSet(u) \cap wrote[t] = {}
MayCommit(t) == PredicatesHold(t) /\ (t \in Serializable /\ wrote[t] # {} => ReadsHold(t))
(* For one that is being prepared, who is prepared already counts as          *)
(* committed: its commit must not depend on the decision about t.             *)
MayPrepare(t) ==
  /\ MayCommit(t)
  /\ t \in Serializable => \A u \in Prepared \ {t} : wrote[u] \cap ReadSet(t) = {}
Publish(t) ==
  /\ clock' = clock + 1 /\ ts' = [ts EXCEPT ![t] = clock + 1] /\ status' = [status EXCEPT ![t] = "committed"]
  /\ UNCHANGED <<snap, read, wrote>>
Commit(t) == status[t] = "active" /\ MayCommit(t) /\ Publish(t)
Prepare(t) ==
  /\ WithPrepare /\ status[t] = "active" /\ wrote[t] # {} /\ MayPrepare(t)
  /\ status' = [status EXCEPT ![t] = "prepared"] /\ UNCHANGED <<clock, snap, ts, read, wrote>>
CommitPrepared(t) == status[t] = "prepared" /\ PredicatesHold(t) /\ Publish(t)
Abort(t) ==
  /\ status[t] \in {"active", "prepared"} /\ status' = [status EXCEPT ![t] = "aborted"]
  /\ UNCHANGED <<clock, snap, ts, read, wrote>>
Ranges == {{k} : k \in Keys} \cup {Keys}
Next == \E t \in Txns :
  \/ Begin(t) \/ Commit(t) \/ Prepare(t) \/ CommitPrepared(t) \/ Abort(t)
  \/ \E keys \in Ranges : Read(t, keys)
  \/ \E k \in Keys : Write(t, k)
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* T2: reads show the one committed state at the snapshot.                    *)
OneState == \A t \in Txns, k \in Keys : read[t][k] # None => read[t][k] = Shown(k, snap[t])
NoDirtyRead == \A t \in Txns, k \in Keys : read[t][k] \notin {None, 0} => read[t][k] \in Committed
NoLostUpdate == \A t, u \in Committed : t # u /\ wrote[t] \cap wrote[u] # {} => ~(snap[t] < ts[u] /\ ts[u] < ts[t])
(* T5: nothing stands against the commit of who is prepared.                  *)
NobodyRefusesPrepared == \A t \in Prepared : PredicatesHold(t)
(* u must follow t: it wrote over, read from, or was not seen by t.           *)
Follows(u, t) == \E k \in Keys :
  \/ k \in wrote[t] \cap wrote[u] /\ ts[t] < ts[u]
  \/ k \in wrote[t] /\ read[u][k] = t
  \/ k \in wrote[u] /\ read[t][k] # None /\ TsOf(read[t][k]) < ts[u]
RECURSIVE After(_, _)
After(S, among) == LET more == S \cup {u \in among : \E t \in S : u # t /\ Follows(u, t)}
                   IN IF more = S THEN S ELSE After(more, among)
(* T2: the committed serializable transactions have a serial order.           *)
HasSerialOrder == LET among == Committed \cap Serializable IN \A t \in among :
  t \notin After({u \in among \ {t} : Follows(u, t)}, among)
=============================================================================
