"""Postern as one construct of AWS CDK: the distribution `postern-cdk`, whose import package is `postern_cdk`.

Rules of the folder: template.yaml stays the source of truth. The construct includes what `make package` has made of it,
and only AWS CDK and the standard library are imported.
"""

from .construct import Parameters, Postern

__all__ = ["Parameters", "Postern"]
