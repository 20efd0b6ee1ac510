using System.Net.Sockets;
using System.Transactions;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>The faults that the fuzz itself brings about, by their names. Any other exception fails the test.</summary>
internal static class ExpectedFaults
{
    public const string Cancellation = "cancellation";

    /// <summary>The name, or null for an exception that nobody should see.</summary>
    public static string? Name(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            if (Own(e) is { } name)
            {
                return name;
            }
        }

        return null;
    }

    /// <summary>How long a breaker that refuses says to wait; zero where none has refused.</summary>
    public static TimeSpan RetryAfter(Exception? e) =>
        e switch
        {
            null => TimeSpan.Zero,
            ConnectionUnavailableException { Reason: ConnectionUnavailableReason.CircuitOpen, RetryAfter: { } wait } =>
                wait,
            _ => RetryAfter(e.InnerException),
        };

    private static string? Own(Exception e) =>
        e switch
        {
            OperationCanceledException => Cancellation,
            PostgresException { SqlState: PostgresErrorCodes.QueryCanceled } => Cancellation,
            PostgresException { SqlState: ['5', '7', 'P', '0', _] } p => p.SqlState,
            // A TransactionScope is serializable by default.
            PostgresException { SqlState: PostgresErrorCodes.SerializationFailure } => "serialization failure",
            ConnectionUnavailableException { Reason: ConnectionUnavailableReason.PoolExhausted } => "pool exhausted",
            ConnectionUnavailableException { InnerException: var cause } => Name(cause) is { } inner
                ? "unavailable: " + inner
                : null,
            PostgresException or NpgsqlOperationInProgressException => null,
            NpgsqlException or IOException or SocketException => "connection lost",
            TransactionAbortedException => "transaction aborted",
            // What Npgsql says to a command, or to a rollback, after a fault has closed its connection.
            InvalidOperationException { Message: "Connection is not open" or "Transaction is already completed" } =>
                "connection lost",
            _ => null,
        };
}
