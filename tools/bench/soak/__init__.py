"""`make soak`: load with faults on a local stack, and then the question whether everything came true.

calls      names a call to AWS, R2 or Cloudflare by its HTTP request
faults     what can go wrong with a call, and which fault strikes next
relay      stands between the deployed functions and everything that they call
settings   what the stand-in does wrong by itself: files, its key, webhooks, its kinds of lies
load       the tenants, who record, read, archive and delete all the while
rig        the stack: kills workers, lets time pass, looks at everything
verdict    compares what is with what must be; knows no network
report     the tables
"""
