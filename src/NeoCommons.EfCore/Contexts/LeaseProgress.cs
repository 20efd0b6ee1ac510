namespace NeoCommons.EfCore;

/// <summary>What a lease's commands have written, transaction by transaction: whether doing an operation again does it twice.</summary>
/// <remarks>
/// A command outside of a transaction is one by itself. Where the server says that something was rolled back, it is the
/// transaction of the last command, and nothing that was committed before it.
/// </remarks>
internal struct LeaseProgress
{
    private object? _transaction;
    private bool _isWriting;
    private int _written;

    /// <summary>Notes a command.</summary>
    /// <param name="transaction">EF's transaction that it is part of; null where it is none.</param>
    /// <param name="writes">Whether it may write.</param>
    public void Note(object? transaction, bool writes)
    {
        if (transaction is null || !ReferenceEquals(transaction, _transaction))
        {
            EndTransaction();
            _transaction = transaction;
        }

        _isWriting |= writes;
    }

    /// <summary>Where an operation begins, or is begun again after it was rolled back.</summary>
    public int Mark(object? transaction)
    {
        Note(transaction, writes: false);
        return _written;
    }

    /// <summary>Whether anything may have been written since then.</summary>
    public readonly bool HasWritten(int mark) => _isWriting || _written != mark;

    /// <summary>Whether anything was, in a transaction before that of the last command.</summary>
    public readonly bool HasWrittenBefore(int mark) => _written != mark;

    private void EndTransaction()
    {
        if (_isWriting)
        {
            _isWriting = false;
            _written++;
        }
    }
}
