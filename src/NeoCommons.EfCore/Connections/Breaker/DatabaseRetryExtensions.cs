using Polly;
using Polly.Retry;

namespace NeoCommons.EfCore;

/// <summary>Retries for work on raw connections.</summary>
public static class DatabaseRetryExtensions
{
    /// <summary>
    /// Repeats work on a database after a fault that passes: a connection that broke, a deadlock, a server that starts or
    /// cannot be reached, a tenant whose schema is being migrated. It waits for as long as the exception says at least, where it
    /// says so, and callers that failed at the same moment do not come back at the same moment.
    /// </summary>
    /// <remarks>
    /// <para>
    /// The whole callback is repeated, so open the connection in it, and give it nothing to do that must not be done twice: a
    /// connection that breaks under a commit does not tell whether it was one. Contexts repeat by themselves what certainly did
    /// not happen and need no pipeline.
    /// </para>
    /// <para>What is not repeated: errors of the statement, refused logins, unknown tenants and connections, cancellation.</para>
    /// </remarks>
    /// <example>
    /// <code>
    /// var retry = new ResiliencePipelineBuilder().AddDatabaseRetry().Build();
    /// await retry.ExecuteAsync(async ct =>
    /// {
    ///     await using var connection = await connections.OpenTenantConnectionAsync(tenant, ct);
    ///     await connection.ExecuteAsync("REFRESH MATERIALIZED VIEW totals");
    /// }, ct);
    /// </code>
    /// </example>
    /// <param name="builder">The pipeline.</param>
    /// <param name="configure">How often, and what is waited.</param>
    /// <exception cref="System.ComponentModel.DataAnnotations.ValidationException">An option is out of range.</exception>
    public static ResiliencePipelineBuilder AddDatabaseRetry(
        this ResiliencePipelineBuilder builder,
        Action<DatabaseRetryOptions>? configure = null
    )
    {
        ArgumentNullException.ThrowIfNull(builder);
        var options = new DatabaseRetryOptions();
        configure?.Invoke(options);
        return builder.AddRetry(
            new RetryStrategyOptions
            {
                MaxRetryAttempts = options.MaxRetryAttempts,
                Delay = options.Delay,
                MaxDelay = options.MaxDelay,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = static attempt => new(TransientFault.Is(attempt.Outcome.Exception)),
                DelayGenerator = attempt =>
                    new(
                        TransientFault.RetryAfter(attempt.Outcome.Exception) is { } wait
                            ? options.DelayAfter(wait, attempt.AttemptNumber)
                            : null
                    ),
            }
        );
    }
}
