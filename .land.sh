#!/bin/sh
git rebase -q main && git -C /work/main merge -q --ff-only h/store && git log --oneline -1
