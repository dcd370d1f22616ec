"""Which operation of REST answers which method: the same function, so that no rule is written twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rowcast.entrypoints.rest import (
    administration,
    credits,
    datasets,
    figures,
    file_predictions,
    health,
    keys,
    licence,
    models,
    policies,
    predictions,
    receipts,
    sharing,
    tasks,
    trainings,
    what_if,
)

UNARY: dict[str, Callable[..., Any]] = {
    "HealthCheck": health.check_ready,
    "GetCaller": health.get_caller,
    "GetModelClasses": trainings.list_algorithms,
    "TrainModel": trainings.start_training,
    "RetrainModel": trainings.retrain_version,
    "ListModels": models.list_models,
    "GetModel": models.get_model,
    "DeleteModel": models.delete_model,
    "ListModelVersions": models.list_model_versions,
    "GetModelVersion": models.get_model_version,
    "DeleteModelVersion": models.delete_model_version,
    "GetFeatureSchema": models.get_feature_schema,
    "ListAliases": models.list_aliases,
    "SetAlias": models.set_alias,
    "RemoveAlias": models.remove_alias,
    "PromoteVersion": models.promote_version,
    "RollBack": models.roll_back,
    "ListAliasMoves": models.list_alias_moves,
    "GetModelSharing": sharing.get_model_sharing,
    "ShareModel": sharing.share_model,
    "GetPolicyInForce": policies.get_policy_in_force,
    "SetPolicy": policies.set_policy,
    "ListPolicies": policies.list_policies,
    "GetPolicy": policies.get_policy,
    "PreviewPolicy": policies.preview_a_policy,
    "AskWhatIf": what_if.ask_what_if,
    "PredictDataset": file_predictions.predict_dataset,
    "ListPredictions": receipts.list_predictions,
    "GetPrediction": receipts.get_prediction,
    "ReplayPrediction": receipts.replay_prediction,
    "ListDatasets": datasets.list_datasets,
    "GetDataset": datasets.get_dataset,
    "DeleteDataset": datasets.delete_dataset,
    "ListDatasetVersions": datasets.list_dataset_versions,
    "GetDatasetVersion": datasets.get_dataset_version,
    "CorrectKinds": datasets.correct_kinds,
    "GetTableProfile": datasets.get_table_profile,
    "PreviewRows": datasets.preview_rows,
    "GetDictionary": datasets.get_dictionary,
    "GetDatasetSharing": sharing.get_dataset_sharing,
    "ShareDataset": sharing.share_dataset,
    "ListTasks": tasks.list_tasks,
    "GetTask": tasks.get_task,
    "CancelTask": tasks.cancel_task,
    "GetQueueFigures": figures.get_figures,
    "RequeueTask": figures.requeue_task,
    "GetCredits": credits.get_credits,
    "GetStatement": credits.get_statement,
    "CheckCredits": credits.check_credits,
    "GetCreditsOf": credits.get_credits_of,
    "TopUpCredits": credits.top_up_credits,
    "SetSpendingLimit": credits.set_spending_limit,
    "GetPrice": credits.get_price,
    "SetPrice": credits.set_price,
    "QuotePrediction": credits.quote_prediction,
    "MakeKey": keys.make_key,
    "ListKeys": keys.list_keys,
    "RevokeKey": keys.revoke_key,
    "ListUsers": administration.list_users,
    "GetUser": administration.get_user,
    "ChangeUser": administration.change_user,
    "ListAudit": administration.list_audit,
    "GetLicence": licence.get_licence,
    "MakeUsageStatement": licence.make_usage_statement,
    "CheckUsage": licence.check_usage,
}
"""One message in, one out."""

DOWNLOADS: dict[str, Callable[..., Any]] = {
    "DownloadTable": datasets.download_table,
    "DownloadTaskFile": file_predictions.download_file,
    "ExportModelVersion": models.export_model_version,
    "ExportPredictions": receipts.export_predictions,
    "ExportStatement": credits.export_statement,
}
"""One message in, a file out, in parts."""

UPLOADS: dict[str, Callable[..., Any]] = {
    "AddTable": datasets.add_table,
    "PredictFile": file_predictions.predict_file,
}
"""A file in, in parts, one message out."""

TYPED: dict[str, Callable[..., Any]] = {
    "Predict": predictions.predict_rows,
    "PredictStream": predictions.predict_rows,
    "SubmitPrediction": tasks.submit_task,
    "GetMetrics": models.get_model_version,
    "WatchTask": tasks.follow_task,
    "ReplaceDictionary": datasets.replace_dictionary,
    "MergeDictionary": datasets.merge_dictionary,
}
"""What is read or answered otherwise here, for the same callers: typed rows, a stream of messages."""
