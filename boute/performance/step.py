"""The time and energy of one engine step, as a flat record that compiled code can read.

A step of vLLM V1 runs a batch of decodes (one token each) and prefill chunks together. Its cost
depends on four numbers: `tokens` in the batch, `sequences` that sample a token, `pairs` of query
and key that prefill attention computes, and `context` tokens whose KV cache decodes read. At a
fixed composition it is affine in `context`, which is what lets the simulator run a stretch of
equal decode steps in closed form.
"""
