"""Tests of the gate's judgement: honest runs pass, every single lie is found."""
