--------------------------- MODULE LogBufferTrace ---------------------------
(* Events of aether-wal, of the simulated disk and of those who use the log,  *)
(* as steps of LogBuffer.  A unit is 8 bytes.                                 *)
EXTENDS LogBuffer, Traces
(* What is asked for by others than the owner of a record, say whoever makes  *)
(* room, is only told what is durable.                                        *)
IsOwn(w, end) == w \in Writers /\ step[w] = "filled" /\ Own(w)[2] = end
Told(w, end) == IF IsOwn(w, end) THEN Ack(w) ELSE mode = "up" /\ end <= durable /\ UNCHANGED vars
(* The first event of a trace says where a new log begins.                    *)
Begun(left, start) ==
  IF mode = "up" THEN left = Start /\ start = Start /\ durable = Start /\ position = Start + StartUnits /\ UNCHANGED vars
  ELSE left = device /\ start >= device + Gap(device) /\ start % Block = 0
       /\ Recover((start - device - Gap(device)) \div Block)
Step(e) ==
  LET w == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Credit"     -> Credit(w, v(1))
    [] Action(e) = "Reserve"    -> position = v(1) /\ Reserve(w) /\ position' = v(2)
    [] Action(e) = "Store"      -> Own(w) = <<v(1), v(2)>> /\ Store(w)
    [] Action(e) = "Fill"       -> Own(w) = <<v(1), v(2)>> /\ Fill(w)
    [] Action(e) = "Ack"        -> Told(w, v(1))
    [] Action(e) = "GoOn"       -> GoOn(w)
    [] Action(e) = "FlushBegin" -> position = v(1) /\ FlushBegin /\ to' = v(2) /\ StartUnits = v(3)
    [] Action(e) = "CopyOut"    -> from = v(1) /\ to = v(2) /\ CopyOut
    [] Action(e) = "WriteOut"   -> to = v(1) /\ WriteOut
    [] Action(e) = "Sync"       -> to = v(1) /\ Sync
    [] Action(e) = "Publish"    -> to = v(1) /\ Publish
    [] Action(e) = "Crash"      -> Crash(v(1))
    [] Action(e) = "Recover"    -> Begun(v(1), v(2))
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [position |-> position, reserved |-> reserved, ring |-> ring, step |-> step, own |-> own, size |-> size,
   lead |-> lead, from |-> from, to |-> to, file |-> file, device |-> device, durable |-> durable,
   answered |-> answered, mode |-> mode]>>)
=============================================================================
